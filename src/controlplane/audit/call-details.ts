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
    'access add agents answer as bytes cols command cpus cwd effect email env expiresIn form from graceMs harness header host keepInput ' +
    'kind limit limits memoryBytes mode model name of optionId overwrite parents path paths pid pids plan port ports preset ' +
    'recursive remove role rows scope scopes signal since timeZone timeoutMs title to ttlMs user username version whenBusy why'
  ).split(' '),
);
/** The same of answers: what a caller asked by an id, as a person knows it. */
const recordedAnswers: ReadonlySet<string> = new Set(['deletedAgents', 'existed', 'host', 'ports', 'removed']);

const mostWords = 32;
const longestText = 256;
/** Of a text that is looked at for what is shown of it. */
const mostRead = 4 * longestText;
/** Of all texts of one input but its command: 8 MB of them would take seconds, in which nobody else is served. */
const mostReadInAll = 64 * mostRead;
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
  const show = textShower();
  let room = mostChars;
  for (const [name, value] of Object.entries(fields)) {
    if (!isRecorded(name)) continue;
    const shown = shownValue(name, value, show);
    if (shown === undefined) continue;
    const size = JSON.stringify(shown).length + name.length + 4;
    if (size > room) continue;
    room -= size;
    details[name] = shown;
  }
  return details;
}

function shownValue(name: string, value: unknown, show: ShowText): AuditDetails[string] | undefined {
  if (value === null || isNumberOrTruth(value)) return value;
  if (typeof value === 'string') return show(value);
  if (isRecord(value)) {
    const parts = name === 'env' ? names(value).map(show) : partsOf(name, value, show);
    // Nothing of it is recorded here: an id, for one, is among the targets.
    return parts.length === 0 ? undefined : fitting(parts);
  }
  if (!Array.isArray(value)) return undefined;
  const items: unknown[] = value.slice(0, mostWords);
  if (name === 'command') {
    const words = items.filter((word) => typeof word === 'string').map((word) => word.slice(0, mostRead));
    const clean = concealedCommand(words).map((word) => shorten(word, longestText));
    return fitting(clean, value.length);
  }
  return fitting(
    items.flatMap((item) => shownItem(name, item, show)),
    value.length,
  );
}

function shownItem(name: string, item: unknown, show: ShowText): string | [] {
  if (typeof item === 'string') return show(item);
  if (isNumberOrTruth(item)) return String(item);
  return isRecord(item) ? shorten(partsOf(name, item, show).join(' '), longestText) : [];
}

/** What is recorded of an object, as `name=value`. */
function partsOf(parent: string, value: Readonly<Record<string, unknown>>, show: ShowText): string[] {
  return names(value).flatMap((name) => {
    const isKnown = recordedFields.has(name) || (parent === 'limits' && /^\w{1,40}$/.test(name));
    const each = value[name];
    if (!isKnown) return [];
    if (each === null || isNumberOrTruth(each)) return `${name}=${each}`;
    // The name of a limit tells of no secret, though there is one called tokens.
    if (typeof each === 'string') return parent === 'limits' ? `${name}=${show(each)}` : show(`${name}=${each}`);
    if (!Array.isArray(each)) return [];
    const scalars = each.slice(0, mostWords).filter((item) => typeof item === 'string' || isNumberOrTruth(item));
    return show(`${name}=${scalars.map((item) => String(item).slice(0, longestText)).join(',')}`);
  });
}

function names(value: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(value).slice(0, mostWords);
}

type ShowText = (text: string) => string;

/** Shows the texts of one input, one after the other; of those beyond `mostReadInAll` only how long they are. */
function textShower(): ShowText {
  let left = mostReadInAll;
  return (text) => {
    const read = text.slice(0, mostRead);
    left -= read.length;
    return left < 0 ? `… [${text.length} characters]` : shorten(concealed(read), longestText);
  };
}

function isNumberOrTruth(value: unknown): value is number | boolean {
  return typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}

/** From the first on, as many as have room; and of how many, where that is not all. */
function fitting(words: readonly string[], all = words.length): string[] {
  let chars = 0;
  const tooMuch = words.findIndex((word) => (chars += JSON.stringify(word).length + 1) > mostChars / 2);
  const kept = words.slice(0, tooMuch === -1 ? words.length : tooMuch);
  return kept.length < all ? [...kept, `… [${all}]`] : kept;
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
