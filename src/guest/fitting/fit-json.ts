import { fitText, shorten } from '../../kernel/json-text.ts';
import { isBoundedJson, type JsonValue } from '../../wire/contract/json-value.ts';

/** How much of each part is kept, tried in this order until the whole fits. */
const measures = [
  { textBytes: 64 * 1024, items: 5_000, depth: 32 },
  { textBytes: 8 * 1024, items: 500, depth: 16 },
  { textBytes: 1024, items: 50, depth: 8 },
  { textBytes: 200, items: 10, depth: 4 },
] as const;
type Measure = (typeof measures)[number];

const longestKey = 200;
/** So that a full line has little more than 20,000 values. */
const bytesOfValue = 48;

/** The value, or a copy of it with marks where long texts, many items and deep parts were left out: at most `mostBytes`. */
export function fitJson(value: JsonValue, mostBytes: number): JsonValue {
  if (jsonSize(value) <= mostBytes) return value;
  for (const measure of measures) {
    const cut = cutValue(value, measure, measure.depth);
    if (jsonSize(cut) <= mostBytes) return cut;
  }
  return '[left out: too large]';
}

/**
 * What a value takes of a line: its bytes, and for each value in it what keeps the values of a line within the contract.
 * What is too deep to be written takes more than there is.
 */
export function jsonSize(value: JsonValue): number {
  if (!isBoundedJson(value)) return Number.POSITIVE_INFINITY;
  return Buffer.byteLength(JSON.stringify(value)) + bytesOfValue * countValues(value);
}

function countValues(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, item) => sum + countValues(item), 1);
}

/** Goes no deeper than the measure. */
function cutValue(value: JsonValue, measure: Measure, depth: number): JsonValue {
  if (typeof value === 'string') return fitText(value, measure.textBytes);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '[nested parts left out]';
  if (Array.isArray(value)) {
    const kept = value.slice(0, measure.items).map((item) => cutValue(item, measure, depth - 1));
    return value.length === kept.length ? kept : [...kept, leftOut(value.length - kept.length, value.length, 'items')];
  }
  const entries = Object.entries(value);
  const kept = entries
    .slice(0, measure.items)
    .map(([key, item]): [string, JsonValue] => [shorten(key, longestKey), cutValue(item, measure, depth - 1)]);
  if (kept.length < entries.length) kept.push(['…', leftOut(entries.length - kept.length, entries.length, 'fields')]);
  return Object.fromEntries(kept);
}

export function leftOut(missing: number, all: number, what: string): string {
  return `[${missing} of ${all} ${what} left out]`;
}
