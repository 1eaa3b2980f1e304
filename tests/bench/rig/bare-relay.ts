import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '../../e2e/support/control-plane-process.ts';
import type { BenchContext } from './bench-context.ts';
import { adapter } from './host-codex.ts';

/**
 * The processes that a turn of Caisson passes through, with nothing in them but Node's own HTTP: client, plane, guest, and Codex
 * on this machine. No container, store, check or type. What no control plane of this shape can be below.
 */
export class BareRelay implements AsyncDisposable {
  readonly #url: string;
  readonly #children: readonly ChildProcess[];
  readonly #leave = new AbortController();
  #prompts = 0;
  #onLine: (line: string) => void = () => undefined;

  private constructor(url: string, children: readonly ChildProcess[]) {
    this.#url = url;
    this.#children = children;
  }

  static async start(context: BenchContext): Promise<BareRelay> {
    const port = await freePort();
    const { pathname } = new URL(context.model.baseUrl);
    const directory = await context.directory('relay');
    const home = await context.newCodexHome(`http://127.0.0.1:${port}${pathname}`);
    const plane = fork(join(import.meta.dirname, 'bare-plane-main.ts'), [directory, context.model.baseUrl]);
    const [planePort]: unknown[] = await once(plane, 'message');
    const guest = fork(
      join(import.meta.dirname, 'bare-guest-main.ts'),
      [directory, adapter, join(home.directory, 'workspace'), String(port)],
      { env: home.environment },
    );
    await once(guest, 'message');
    const relay = new BareRelay(`http://127.0.0.1:${String(planePort)}`, [guest, plane]);
    const events = await fetch(`${relay.#url}/events`, { signal: relay.#leave.signal });
    void relay.#listen(events);
    return relay;
  }

  async turn(text: string): Promise<{ readonly endedMs: number; readonly firstMs: number }> {
    const id = 100 + this.#prompts++;
    const ended = Promise.withResolvers<number>();
    let firstMs = Number.NaN;
    const from = performance.now();
    this.#onLine = (line) => {
      const message = JSON.parse(line) as { id?: number; params?: { update?: { sessionUpdate?: string } } };
      const isChunk = message.params?.update?.sessionUpdate === 'agent_message_chunk';
      if (isChunk && Number.isNaN(firstMs)) firstMs = performance.now() - from;
      if (message.id === id) ended.resolve(performance.now() - from);
    };
    const asked = await fetch(`${this.#url}/run`, { method: 'POST', body: JSON.stringify({ id, text }) });
    await asked.text();
    return { endedMs: await ended.promise, firstMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    for (const child of this.#children) {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    }
  }

  async #listen(events: Response): Promise<void> {
    let rest = '';
    try {
      for await (const text of events.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const records = (rest + text).split('\n\n');
        rest = records.pop() ?? '';
        for (const record of records) this.#onLine(record.slice('data: '.length));
      }
    } catch (thrown) {
      if (!this.#leave.signal.aborted) throw thrown;
    }
  }
}
