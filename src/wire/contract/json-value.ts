import * as z from 'zod';

export type JsonValue = z.core.util.JSONType;

/** How many arrays and objects may lie in one another in a piece of opaque JSON. */
export const deepestJson = 64;
/** How many values it may hold in all: a line full of empty objects costs many times what a text of its length does. */
export const mostJsonValues = 20_000;

/**
 * Whether JSON that `JSON.parse` gave is within these bounds. Goes down level by level, so that no depth of it can
 * exhaust the stack, and looks at no more than `mostJsonValues` values.
 */
export function isBoundedJson(value: unknown): value is JsonValue {
  let level: readonly unknown[] = [value];
  let values = 1;
  for (let depth = 0; level.length > 0; depth++) {
    const next: unknown[] = [];
    for (const each of level) {
      if (each === null || typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean') continue;
      if (typeof each !== 'object' || depth === deepestJson) return false;
      const items: readonly unknown[] = Array.isArray(each) ? each : Object.values(each);
      values += items.length;
      if (values > mostJsonValues) return false;
      for (const item of items) next.push(item);
    }
    level = next;
  }
  return true;
}

/** JSON that Caisson passes on as it is. */
export const jsonValueSchema = z.unknown().refine(isBoundedJson, 'not JSON, nested too deeply, or too many values');

/** An array whose length is looked at before any of its items is. */
export function boundedArray<Item extends z.ZodType>(item: Item, most: number) {
  const isShort = (value: unknown): boolean => !Array.isArray(value) || value.length <= most;
  return z
    .unknown()
    .refine(isShort, { error: `more than ${most} items`, abort: true })
    .pipe(z.array(item).max(most));
}
