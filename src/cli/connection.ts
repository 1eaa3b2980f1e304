import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaissonClient } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The client of the control plane that the environment names. Calls nothing yet. */
export async function connect(environment: Environment = process.env): Promise<CaissonClient> {
  const [{ createCaissonClient }, settings] = await Promise.all([
    import('../client/index.ts'),
    connectionSettings(environment),
  ]);
  return createCaissonClient(settings);
}

/** Where the control plane is and who is asking, for what does not go through the client. */
export async function connectionSettings(
  environment: Environment = process.env,
): Promise<{ readonly url: string; readonly apiKey: string }> {
  return { url: controlPlaneUrl(environment), apiKey: await findApiKey(environment) };
}

export const defaultUrl = 'http://127.0.0.1:7070';
export const defaultDataDir = '.caisson';

/** CAISSON_URL; else where a control plane that is started with the same environment listens. */
export function controlPlaneUrl(environment: Environment): string {
  const url = given(environment, 'CAISSON_URL');
  if (url !== undefined) return url;
  const { hostname, port } = new URL(defaultUrl);
  const [host, listening] = [
    given(environment, 'CAISSON_HOST') ?? hostname,
    given(environment, 'CAISSON_PORT') ?? port,
  ];
  return `http://${reachable(host)}:${listening === '0' ? port : listening}`;
}

/** A control plane that listens on every address is reached on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** Where `caisson start` keeps the first administrator's key. */
export function adminKeyFile(environment: Environment): string {
  return join(given(environment, 'CAISSON_DATA_DIR') ?? defaultDataDir, 'admin.key');
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
      hint: 'A first start makes the key, before it says `is ready`. Else set CAISSON_API_KEY, or run this where the control plane was started; administrators make keys with `caisson keys create`.',
      cause,
    });
  }
}

// An empty variable counts as unset, as it does for the control plane.
function given(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === '' ? undefined : value;
}
