import { shorten } from '../../kernel/json-text.ts';
import { concealed, concealedCommand } from './concealed.ts';
import type { AuditDetails } from './record.ts';

/**
 * Fields of inputs that are recorded, of whatever procedure, and of objects in them: a field that is not here is not. So values of
 * environments, input of processes, contents of files, messages and invitations are never kept. A new procedure whose fields
 * should be seen adds them here.
 */
const recordedFields: ReadonlySet<string> = new Set(
  (
    'access add agents answer as bytes cols command cpus cwd effect email env expiresIn from graceMs harness host keepInput ' +
    'limit limits memoryBytes mode model name of optionId overwrite parents path paths pid pids plan port ports preset ' +
    'recursive remove role rows scope scopes signal since timeZone timeoutMs title to ttlMs user version whenBusy why'
  ).split(' '),
);
/** The same of answers: what a caller asked by an id, as a person knows it. */
const recordedAnswers: ReadonlySet<string> = new Set(['deletedAgents', 'existed', 'host', 'ports']);

const mostWords = 32;
const longestText = 256;
/** All details as JSON. */
const mostChars = 4_096;

const idPattern = /^[a-z]{3}-[0-9a-z]{26}$/;
const mostTargets = 16;

/** What is recorded of an input: bounded, and without what looks like a secret. */
export function detailsOf(input: unknown): AuditDetails {
  return bounded(input, (name) => recordedFields.has(name));
}

/** The same of what a call answered. */
export function detailsOfAnswer(answer: unknown): AuditDetails {
  return bounded(answer, (name) => recordedAnswers.has(name));
}

/** The same of what the house itself says. */
export function boundedDetails(details: AuditDetails): AuditDetails {
  return bounded(details, () => true);
}

function bounded(fields: unknown, isRecorded: (name: string) => boolean): AuditDetails {
  if (!isRecord(fields)) return {};
  const details: Record<string, AuditDetails[string]> = {};
  let room = mostChars;
  for (const [name, value] of Object.entries(fields)) {
    if (!isRecorded(name)) continue;
    const shown = shownValue(name, value);
    if (shown === undefined) continue;
    const size = JSON.stringify(shown).length + name.length + 4;
    if (size > room) continue;
    room -= size;
    details[name] = shown;
  }
  return details;
}

function shownValue(name: string, value: unknown): AuditDetails[string] | undefined {
  if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)))
    return value;
  if (typeof value === 'string') return shorten(concealed(value.slice(0, 4 * longestText)), longestText);
  if (isRecord(value)) return shownValue(name, name === 'env' ? namesIn(value) : partsOf(name, value));
  if (!Array.isArray(value)) return undefined;
  const words = value.slice(0, mostWords).flatMap((word: unknown) => {
    if (typeof word === 'string') return word;
    if (typeof word === 'number') return String(word);
    return isRecord(word) ? partsOf(name, word).join(' ') : [];
  });
  const cut = words.map((word) => word.slice(0, 4 * longestText));
  const clean = name === 'command' ? concealedCommand(cut) : cut.map(concealed);
  const kept = fitting(clean.map((word) => shorten(word, longestText)));
  return kept.length < value.length ? [...kept, `… [${value.length}]`] : kept;
}

function namesIn(value: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(value).slice(0, mostWords + 1);
}

/** What is recorded of an object, as `name=value`. */
function partsOf(parent: string, value: Readonly<Record<string, unknown>>): string[] {
  const isKnown = (name: string): boolean =>
    recordedFields.has(name) || (parent === 'limits' && /^\w{1,40}$/.test(name));
  return namesIn(value).flatMap((name) => {
    const each = value[name];
    const shown = Array.isArray(each) ? each.slice(0, mostWords).join(',') : each;
    const isScalar = shown === null || ['string', 'number', 'boolean'].includes(typeof shown);
    return isKnown(name) && isScalar ? `${name}=${String(shown).slice(0, longestText)}` : [];
  });
}

/** From the first on, as many as have room. */
function fitting(words: readonly string[]): string[] {
  let chars = 0;
  const tooMuch = words.findIndex((word) => (chars += JSON.stringify(word).length + 1) > mostChars / 2);
  return words.slice(0, tooMuch === -1 ? words.length : tooMuch);
}

/** Ids that an input or an answer names, in its fields `id` and `…Id`, or in those of an object right in it. */
export function idsIn(value: unknown): string[] {
  const found = new Set<string>();
  const look = (each: unknown, depth: number): void => {
    if (!isRecord(each)) return;
    for (const [name, field] of Object.entries(each)) {
      if (found.size >= mostTargets) return;
      if (typeof field === 'string' && /^id$|Id$/.test(name) && idPattern.test(field)) found.add(field);
      else if (depth > 0) look(field, depth - 1);
    }
  };
  look(value, 1);
  return [...found];
}

/** These and those, each once, as many as a record holds. */
export function joinTargets(some: readonly string[], more: readonly string[]): string[] {
  return [...new Set([...some, ...more])].slice(0, mostTargets);
}

/** The agent among ids. */
export function agentAmong(ids: readonly string[]): string | null {
  return ids.find((id) => id.startsWith('agt-')) ?? null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
