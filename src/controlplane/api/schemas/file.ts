import { z } from 'zod';
import { pathToBytes } from '../../../kernel/file-path.ts';
import { maxPathBytes } from '../../../wire/contract/files.ts';

/**
 * A path of the sandbox: absolute, or relative to /workspace. Text; a byte that is not part of valid UTF-8 is a lone
 * surrogate, U+DC80 to U+DCFF.
 */
export const filePathSchema = z
  .string()
  .max(maxPathBytes + 1)
  .refine((path) => pathToBytes(path) !== undefined, 'must be text that stands for bytes');

/** What the procedures take and give at once, in bytes; more goes through the HTTP routes. */
export const maxInlineBytes = 1024 * 1024;

export const fileEncodingSchema = z.enum(['utf8', 'base64']);
export const etagSchema = z.string().max(200);

/** The bytes of a path that the schema accepted. */
export function bytesOf(path: string): Uint8Array {
  return pathToBytes(path) ?? new Uint8Array();
}
