import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An empty directory that goes when it is disposed. */
export function dataDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'caisson-store-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
