import { methods } from '@agentclientprotocol/sdk/unstable';
import * as z from 'zod';
import { choiceIdSchema, mostChoicesTold, type Choice, type SessionOffer } from '../wire/contract/session-offer.ts';

/** What can be chosen in a session. */
export type ChoiceKind = 'mode' | 'model';

/** Most entries of one choice that are kept. What comes after them, and what has too long an id, cannot be chosen. */
const mostKept = 1_000;
const longestName = 200;

/** The modes of a harness that work in a sandbox. The harness offers others as well, which are refused. */
export interface SandboxModes {
  /** By their ids: what people are shown. The first is the usual one. */
  readonly names: Readonly<Record<string, string>>;
  /** What is wrong with any other one, as a clause. */
  readonly barred: string;
}

/** One thing that a session lets one choose, and how ACP has it set there. */
export interface SessionChoice {
  readonly offered: readonly Choice[];
  /** Null where its id is longer than Caisson takes. */
  readonly current: string | null;
  /** What the harness offers besides and nobody may choose, and why. */
  readonly barred?: { readonly ids: readonly string[]; readonly reason: string };
  readonly setBy:
    | { readonly method: typeof methods.agent.session.setConfigOption; readonly configId: string }
    | { readonly method: typeof methods.agent.session.setMode | typeof setModelMethod };
}

/** Null where the harness lets nobody choose. */
export type SessionChoices = Readonly<Record<ChoiceKind, SessionChoice | null>>;

export const noChoices: SessionChoices = { mode: null, model: null };

/** ACP's way to set a model before there were config options; the SDK no longer knows it. */
const setModelMethod = 'session/set_model';

const text = z.string();
const current = choiceIdSchema.nullable().catch(null);
const value = z.object({ value: text, name: text });
const selectSchema = z.object({
  id: text,
  category: text.nullish(),
  type: z.literal('select'),
  currentValue: current,
  options: z.array(z.union([value, z.object({ options: z.array(value) })])),
});
const configSchema = z.object({ configOptions: z.array(selectSchema.nullable().catch(null)) });
const modesSchema = z.object({
  modes: z.object({
    currentModeId: current,
    availableModes: z.array(z.object({ id: text, name: text })),
  }),
});
const modelsSchema = z.object({
  models: z.object({
    currentModelId: current,
    availableModels: z.array(z.object({ modelId: text, name: text })),
  }),
});
const modeUpdateSchema = z.object({ currentModeId: choiceIdSchema });

/** The choices of a session by the answer that opened it. Config options come first: they replace ACP's older ways. */
export function choicesOf(opened: unknown): SessionChoices {
  const { mode, model } = configChoices(opened) ?? noChoices;
  return { mode: mode ?? modesOf(opened), model: model ?? modelsOf(opened) };
}

/** The choices after a `session/update`; the same object where it says nothing of them. */
export function choicesAfterUpdate(choices: SessionChoices, update: unknown): SessionChoices {
  // Nearly every update is about something else: those are not parsed.
  if (typeof update !== 'object' || update === null || !('sessionUpdate' in update)) return choices;
  if (update.sessionUpdate === 'config_option_update') return choicesAfterAnswer(choices, update);
  if (update.sessionUpdate !== 'current_mode_update') return choices;
  const { data } = modeUpdateSchema.safeParse(update);
  return data === undefined ? choices : withCurrent(choices, 'mode', data.currentModeId);
}

/** The choices after the answer to a change: a harness with config options tells them all again. */
export function choicesAfterAnswer(choices: SessionChoices, answer: unknown): SessionChoices {
  const told = configChoices(answer);
  return told === null ? choices : { mode: told.mode ?? choices.mode, model: told.model ?? choices.model };
}

export function withCurrent(choices: SessionChoices, kind: ChoiceKind, id: string | null): SessionChoices {
  const choice = choices[kind];
  return choice === null || choice.current === id ? choices : { ...choices, [kind]: { ...choice, current: id } };
}

export function offers(choice: SessionChoice | null, id: string): boolean {
  return choice?.offered.some((entry) => entry.id === id) ?? false;
}

/** The choices without the modes that do not work in a sandbox. */
export function usableChoices(choices: SessionChoices, modes: SandboxModes | null): SessionChoices {
  const { mode } = choices;
  if (modes === null || mode === null || mode.barred !== undefined) return choices;
  const ids = mode.offered.map(({ id }) => id).filter((id) => !Object.hasOwn(modes.names, id));
  const offered = Object.entries(modes.names).flatMap(([id, name]) => (offers(mode, id) ? [{ id, name }] : []));
  return { ...choices, mode: { ...mode, offered, barred: { ids, reason: modes.barred } } };
}

/** What a session has where nobody chooses: what it was opened with, or else the first that may be chosen. */
export function unchosenOf(choice: SessionChoice | null): string | null {
  if (choice === null) return null;
  const isBarred = choice.current !== null && choice.barred?.ids.includes(choice.current) === true;
  return isBarred ? (choice.offered[0]?.id ?? null) : choice.current;
}

/** The request that makes `id` the choice. */
export function changeRequest(
  kind: ChoiceKind,
  { setBy }: SessionChoice,
  id: string,
): { readonly method: string; readonly params: Readonly<Record<string, string>> } {
  const { method } = setBy;
  if ('configId' in setBy) return { method, params: { configId: setBy.configId, value: id } };
  return { method, params: { [`${kind}Id`]: id } };
}

/** What is told of the choices: a bounded part of them. `unchosen` is what the session has where nobody chose. */
export function offerOf(
  { mode, model }: SessionChoices,
  unchosen: Readonly<Record<ChoiceKind, string | null>>,
): SessionOffer {
  const told = (choice: SessionChoice | null): Choice[] => (choice?.offered ?? []).slice(0, mostChoicesTold);
  return { modes: told(mode), models: told(model), mode: unchosen.mode, model: unchosen.model };
}

function configChoices(told: unknown): SessionChoices | null {
  const parsed = configSchema.safeParse(told);
  if (!parsed.success) return null;
  const find = (kind: ChoiceKind): SessionChoice | null => {
    const option = parsed.data.configOptions.find((each) => each !== null && (each.category ?? each.id) === kind);
    if (option == null) return null;
    const values = option.options.flatMap((entry) => ('options' in entry ? entry.options : [entry]));
    const offered = kept(values.map((each) => ({ id: each.value, name: each.name })));
    const setBy = { method: methods.agent.session.setConfigOption, configId: option.id };
    return { offered, current: option.currentValue, setBy };
  };
  return { mode: find('mode'), model: find('model') };
}

function modesOf(opened: unknown): SessionChoice | null {
  const { data } = modesSchema.safeParse(opened);
  if (data === undefined) return null;
  const { availableModes, currentModeId } = data.modes;
  return { offered: kept(availableModes), current: currentModeId, setBy: { method: methods.agent.session.setMode } };
}

function modelsOf(opened: unknown): SessionChoice | null {
  const { data } = modelsSchema.safeParse(opened);
  if (data === undefined) return null;
  const { availableModels, currentModelId } = data.models;
  const offered = kept(availableModels.map(({ modelId, name }) => ({ id: modelId, name })));
  return { offered, current: currentModelId, setBy: { method: setModelMethod } };
}

function kept(choices: readonly Choice[]): Choice[] {
  const valid = choices.filter(({ id }) => choiceIdSchema.safeParse(id).success);
  return valid.slice(0, mostKept).map(({ id, name }) => ({ id, name: name.slice(0, longestName).toWellFormed() }));
}
