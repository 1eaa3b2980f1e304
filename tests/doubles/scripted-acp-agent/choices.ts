import { RequestError, type SessionConfigOption } from '@agentclientprotocol/sdk/unstable';
import type { readOptions } from './options.ts';

type Offered = Pick<ReturnType<typeof readOptions>, 'modes' | 'models' | 'ownModel' | 'choicesBy'>;

/** The mode and the model of one session. As with Codex, a model outside of the list stands in it only while it is chosen. */
export class ScriptedChoices {
  readonly #offered: Offered;
  #mode: string | undefined;
  #model: string | undefined;

  constructor(offered: Offered) {
    this.#offered = offered;
    this.#mode = offered.modes[0];
    this.#model = offered.ownModel ?? offered.models[0];
  }

  /** The part of the answer to `session/new`, `load` and `resume`. */
  get told(): object {
    const [modes, models] = [this.#offered.modes, this.#models()];
    if (this.#offered.choicesBy === 'config') return { configOptions: this.configOptions };
    const named = (id: string) => ({ id, name: id.toUpperCase() });
    return {
      ...(this.#mode === undefined ? {} : { modes: { currentModeId: this.#mode, availableModes: modes.map(named) } }),
      ...(this.#model === undefined
        ? {}
        : {
            models: {
              currentModelId: this.#model,
              availableModels: models.map((modelId) => ({ modelId, name: modelId.toUpperCase() })),
            },
          }),
    };
  }

  get configOptions(): SessionConfigOption[] {
    return [
      ...select('mode', this.#offered.modes, this.#mode),
      { id: 'fast', name: 'Fast', category: 'model_config', type: 'boolean', currentValue: false },
      ...select('model', this.#models(), this.#model),
    ];
  }

  set(kind: string, id: unknown): void {
    const known: readonly unknown[] = kind === 'mode' ? this.#offered.modes : this.#models();
    if (typeof id !== 'string' || !known.includes(id) || id === 'forbidden') throw RequestError.invalidParams();
    if (kind === 'mode') this.#mode = id;
    else this.#model = id;
  }

  #models(): readonly string[] {
    const { models } = this.#offered;
    return this.#model === undefined || models.includes(this.#model) ? models : [this.#model, ...models];
  }
}

function select(category: string, ids: readonly string[], current: string | undefined): SessionConfigOption[] {
  if (current === undefined) return [];
  const values = ids.map((value) => ({ value, name: value.toUpperCase() }));
  const options = category === 'mode' ? [{ group: 'g', name: 'Group', options: values }] : values;
  return [{ id: `the-${category}`, name: category, category, type: 'select', currentValue: current, options }];
}
