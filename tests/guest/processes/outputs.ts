import type { AttachedProcess } from '../../../src/wire/attached-process.ts';
import type { GuestClient } from '../../../src/wire/guest-client.ts';

/** Both outputs of a process to their end. */
export async function outputsOf({ output }: AttachedProcess): Promise<{ stdout: Buffer; stderr: Buffer }> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const pieces of output) {
    for (const piece of pieces) {
      if (piece.stream === 'gap') throw new Error('an attached process loses nothing');
      chunks[piece.stream].push(piece.data);
    }
  }
  return { stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr) };
}

/** Runs a command to its end. */
export async function run(client: GuestClient, command: string[], input = '') {
  const child = await client.processes.attach({ command });
  child.stdin.end(input);
  const { stdout, stderr } = await outputsOf(child);
  const { exitCode, signal } = await child.exit;
  return { output: stdout.toString(), stderr: stderr.toString(), exitCode, signal };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
