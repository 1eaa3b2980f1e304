import { RequestError, type SessionConfigOption, type SessionModeState } from '@agentclientprotocol/sdk';
import type { AgentSnapshot, Conversation } from '../../client/index.ts';

type Offer = NonNullable<AgentSnapshot['offer']>;
type Choices = Pick<Conversation, 'model' | 'mode'>;

/** What an editor may choose in a session, in both of ACP's ways: config options, and modes for those that know no others. */
export interface SessionConfig {
  readonly modes?: SessionModeState;
  readonly configOptions?: SessionConfigOption[];
}

/** What there is to choose, with what the conversation has now. Nothing while no session told what there is. */
export function sessionConfig(offer: AgentSnapshot['offer'], { model, mode }: Choices): SessionConfig {
  if (offer === null) return {};
  const modes = select(offer.modes, mode ?? offer.mode);
  const models = select(offer.models, model ?? offer.model);
  const configOptions: SessionConfigOption[] = [];
  if (modes !== null) configOptions.push(option('mode', 'Mode', modes));
  if (models !== null) configOptions.push(option('model', 'Model', models));
  return {
    ...(modes === null ? {} : { modes: { currentModeId: modes.current, availableModes: modes.choices } }),
    ...(configOptions.length === 0 ? {} : { configOptions }),
  };
}

/** A config option that an editor set, as a choice of the conversation. Throws what ACP answers to one that there is not. */
export function choiceOf(offer: AgentSnapshot['offer'], configId: string, value: unknown): Partial<Choices> {
  if (configId !== 'mode' && configId !== 'model') {
    throw RequestError.invalidParams({ configId }, `There is no option "${configId}".`);
  }
  const known = (configId === 'mode' ? offer?.modes : offer?.models) ?? [];
  if (typeof value !== 'string' || !known.some(({ id }) => id === value)) {
    const ids = known.map(({ id }) => id).join(', ');
    throw RequestError.invalidParams({ value }, `There is no ${configId} "${String(value)}". There are: ${ids}.`);
  }
  return { [configId]: value };
}

interface Select {
  readonly current: string;
  readonly choices: Offer['modes'];
}

/** What is chosen already stands in the list, whether the harness has it or not. */
function select(choices: Offer['modes'], current: string | null): Select | null {
  if (choices.length === 0 || current === null) return null;
  if (choices.some(({ id }) => id === current)) return { current, choices };
  return { current, choices: [{ id: current, name: current }, ...choices] };
}

function option(category: 'mode' | 'model', name: string, { current, choices }: Select): SessionConfigOption {
  const options = choices.map((choice) => ({ value: choice.id, name: choice.name }));
  return { id: category, name, category, type: 'select', currentValue: current, options };
}
