import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface ModelProcess extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly baseUrl: string;
}

/** Starts the scripted model service in a process of its own. It answers at once, without pauses. */
export async function startModelProcess(): Promise<ModelProcess> {
  const child = fork(join(import.meta.dirname, 'model-main.ts'));
  const [baseUrl]: unknown[] = await once(child, 'message');
  if (typeof baseUrl !== 'string') throw new Error('the scripted model did not say where it listens');
  return {
    baseUrl,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
