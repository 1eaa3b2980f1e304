import Docker from 'dockerode';
import { ExpectedError } from './expected-error.mjs';
import { installDockerEngine, startDockerEngine, whyNotInstallable } from './docker-install.ts';

/**
 * A Docker engine that answers: the one of DOCKER_HOST or of the default socket. Where there is none, DOCKER_HOST is not set, and this is
 * Debian or Ubuntu as root, Docker is installed and started; otherwise rejects with one sentence that says what to do.
 */
export async function ensureDockerEngine(log: (line: string) => void): Promise<Docker> {
  const refusal = await whyNoAnswer();
  if (refusal === undefined) return new Docker();

  const host = process.env['DOCKER_HOST'];
  if (host !== undefined && host !== '') {
    throw new ExpectedError(
      `no Docker engine answers at DOCKER_HOST=${host} (${refusal}): start it, or correct or unset DOCKER_HOST.`,
    );
  }
  if (refusal === 'EACCES') {
    throw new ExpectedError(
      'this user may not talk to the Docker engine: add it to the group "docker", or run this as root.',
    );
  }
  const obstacle = whyNotInstallable();
  if (obstacle !== undefined) {
    throw new ExpectedError(
      `no Docker engine answers (${refusal}), and none can be installed here (${obstacle}): install and start Docker, or set DOCKER_HOST.`,
    );
  }
  await installDockerEngine(log);
  await startDockerEngine(log, async () => (await whyNoAnswer()) === undefined);
  return new Docker();
}

/** Undefined when an engine answers, with at most 5 s of silence; else the reason in a word. */
async function whyNoAnswer(): Promise<string | undefined> {
  try {
    await new Docker({ timeout: 5000 }).ping();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) return String(error);
    return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  }
}
