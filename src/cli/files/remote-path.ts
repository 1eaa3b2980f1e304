import { posix } from 'node:path';
import type { CaissonClient } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';

/** A file or folder of an agent. */
export interface RemotePath {
  readonly client: CaissonClient;
  readonly agentId: string;
  readonly path: string;
}

/** Reads `<agent>:<path>`; without a path, or with an empty one, it is the workspace. Relative paths begin there. */
export async function remotePath(text: string): Promise<RemotePath> {
  const { agent, path } = splitRemote(text);
  const client = await connect();
  const { id: agentId } = await findAgent(client, agent);
  return { client, agentId, path };
}

/**
 * Where `first` goes on its agent: `<agent>:` in front may be left out; ending with a slash: into that folder, under its own
 * name. BAD_REQUEST for another agent.
 */
export function sameAgent(first: string, second: string): string {
  const { agent, path } = splitRemote(first);
  const colon = second.indexOf(':');
  const named = colon < 0 ? '' : second.slice(0, colon);
  if (named !== '' && named !== agent && !named.includes('/')) {
    throw new CaissonError('BAD_REQUEST', `${JSON.stringify(named)} is another agent than ${JSON.stringify(agent)}.`, {
      hint: 'Use files get and files put between agents. A path with a colon in its first name begins with ./',
    });
  }
  const to = named === agent ? second.slice(colon + 1) : second;
  return to === '' || to.endsWith('/') ? `${to}${lastName(path)}` : to;
}

/** Paths of one agent, by name or id; `<agent>:` in front may be there or not. */
export function pathsOn(
  { id, name }: { readonly id: string; readonly name: string },
  texts: readonly string[],
): string[] {
  return texts.map((text) => {
    const prefix = [`${name}:`, `${id}:`].find((known) => text.startsWith(known)) ?? '';
    return text === prefix ? '.' : text.slice(prefix.length);
  });
}

function splitRemote(text: string): { readonly agent: string; readonly path: string } {
  const colon = text.indexOf(':');
  const [agent, path] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  if (!/^[a-z0-9][a-z0-9-]*$/.test(agent)) {
    throw new CaissonError('BAD_REQUEST', `${JSON.stringify(text)} names no agent.`, {
      hint: 'Write <agent>:<path>, such as alice:src/main.ts; the path begins in /workspace.',
    });
  }
  return { agent, path };
}

/** The last name of a path, as its text has it: neither `.` nor `..`; empty for `/`. */
export function lastName(path: string): string {
  return posix.basename(posix.resolve('/workspace', path));
}
