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

/** A second path, on the same agent: `<agent>:` in front may be left out. */
export function sameAgent(first: string, second: string): string {
  const { agent } = splitRemote(first);
  return second.startsWith(`${agent}:`) ? second.slice(agent.length + 1) : second;
}

function splitRemote(text: string): { readonly agent: string; readonly path: string } {
  const colon = text.indexOf(':');
  const [agent, path] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  if (agent === '' || agent.includes('/')) {
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
