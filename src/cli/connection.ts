import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaissonClient } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The client of the control plane that the environment names. Calls nothing yet. */
export async function connect(environment: Environment = process.env): Promise<CaissonClient> {
  const [{ createCaissonClient }, apiKey] = await Promise.all([import('../client/index.ts'), findApiKey(environment)]);
  return createCaissonClient({ url: controlPlaneUrl(environment), apiKey });
}

export function controlPlaneUrl(environment: Environment): string {
  return given(environment, 'CAISSON_URL') ?? 'http://127.0.0.1:7070';
}

/** Where `caisson start` keeps the first administrator's key. */
export function adminKeyFile(environment: Environment): string {
  return join(given(environment, 'CAISSON_DATA_DIR') ?? '.caisson', 'admin.key');
}

/** CAISSON_API_KEY, or the administrator's key where its file can be read. */
async function findApiKey(environment: Environment): Promise<string> {
  const key = given(environment, 'CAISSON_API_KEY');
  if (key !== undefined) return key.trim();
  const file = adminKeyFile(environment);
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new CaissonError('UNAUTHORIZED', `No API key: CAISSON_API_KEY is not set, and ${file} cannot be read.`, {
      hint: 'Set CAISSON_API_KEY, or run this where the control plane was started. Administrators make keys with `caisson keys create`.',
      cause,
    });
  }
}

// An empty variable counts as unset, as it does for the control plane.
function given(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === '' ? undefined : value;
}
