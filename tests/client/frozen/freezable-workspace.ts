import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A real control plane whose process can be made to stand still: its sockets stay open, and nothing comes. */
export interface FreezableWorkspace extends AsyncDisposable {
  readonly url: string;
  readonly apiKey: string;
  readonly agentId: string;
  freeze(): void;
  thaw(): void;
}

const main = fileURLToPath(new URL('workspace-main.ts', import.meta.url));

export async function startFreezableWorkspace(): Promise<FreezableWorkspace> {
  const child = spawn(process.execPath, [main], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const where = JSON.parse(line) as Pick<FreezableWorkspace, 'url' | 'apiKey' | 'agentId'>;
  const thaw = (): void => void child.kill('SIGCONT');
  return {
    ...where,
    freeze: () => void child.kill('SIGSTOP'),
    thaw,
    async [Symbol.asyncDispose]() {
      thaw();
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}
