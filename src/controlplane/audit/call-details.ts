import { shorten } from '../../kernel/json-text.ts';
import { concealed, concealedCommand } from './concealed.ts';
import type { AuditDetails } from './record.ts';

/**
 * Fields of inputs that are recorded, of whatever procedure: a field that is not here is not. So environments, input of
 * processes, contents of files, messages and invitations are never kept. A new procedure whose fields should be seen adds
 * them here.
 */
const recordedFields: ReadonlySet<string> = new Set(
  (
    'access as bytes cols command cwd expiresIn from graceMs harness keepInput limit mode model name optionId overwrite ' +
    'parents path paths pid plan port recursive role rows scopes signal since timeoutMs title to ttlMs user'
  ).split(' '),
);

const mostWords = 32;
const longestText = 256;
/** All details as JSON. */
const mostChars = 4_096;

const idPattern = /^[a-z]{3}-[0-9a-z]{26}$/;
const mostTargets = 16;

/** What is recorded of an input: bounded, and without what looks like a secret. */
export function detailsOf(input: unknown): AuditDetails {
  if (!isRecord(input)) return {};
  const details: Record<string, AuditDetails[string]> = {};
  let room = mostChars;
  for (const [name, value] of Object.entries(input)) {
    if (!recordedFields.has(name)) continue;
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
  if (!Array.isArray(value)) return undefined;
  const words = value.slice(0, mostWords).filter((word) => typeof word === 'string');
  const cut = words.map((word) => word.slice(0, 4 * longestText));
  const clean = name === 'command' ? concealedCommand(cut) : cut.map(concealed);
  const kept = fitting(clean.map((word) => shorten(word, longestText)));
  return kept.length < value.length ? [...kept, `… [${value.length}]`] : kept;
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
