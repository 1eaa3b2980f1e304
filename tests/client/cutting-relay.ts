import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands before a server and breaks connections: all of them now, or each after so many bytes of the server's. */
export interface CuttingRelay extends AsyncDisposable {
  readonly url: string;
  /** How often one was cut. */
  readonly cuts: number;
  /** Bytes that each new connection lives for; undefined for ever. */
  lifeOf: () => number | undefined;
  cutAll(): void;
}

export async function startCuttingRelay(target: string): Promise<CuttingRelay> {
  const { port, hostname } = new URL(target);
  const open = new Set<Socket>();
  let cuts = 0;
  const relay = createServer((near) => {
    const far = connect(Number(port), hostname);
    let left = state.lifeOf() ?? Number.POSITIVE_INFINITY;
    open.add(near);
    near.once('close', () => {
      open.delete(near);
      far.destroy();
    });
    far.once('close', () => near.destroy());
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.on('data', (chunk: Buffer) => {
      near.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left > 0) return;
      cuts += 1;
      near.destroySoon();
      far.destroy();
    });
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const state: CuttingRelay = {
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    lifeOf: () => undefined,
    cutAll() {
      for (const socket of open) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      state.cutAll();
      relay.close();
    },
  };
  return state;
}
