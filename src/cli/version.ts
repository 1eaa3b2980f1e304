import { readFileSync } from 'node:fs';

/** The version of this package. Its package.json lies two folders up, from `src/cli` as from `dist/cli`. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
