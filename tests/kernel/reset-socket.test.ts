import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { resetSocket } from '../../src/kernel/reset-socket.ts';

/** Both ends of a connection, which take no end of the other for their own. */
async function connected(): Promise<{ readonly near: Socket; readonly far: Socket } & Disposable> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [far] = await accepted;
  if (near.connecting) await once(near, 'connect');
  server.close();
  return {
    near,
    far,
    [Symbol.dispose]() {
      near.destroy();
      far.destroy();
    },
  };
}

test.each(['at once', 'after what was said', 'in a later turn'])(
  'a socket is closed that has ended %s',
  async (when) => {
    using ends = await connected();
    const { near, far } = ends;
    far.on('error', () => undefined).resume();
    const closed = once(near, 'close');
    if (when === 'after what was said') near.write('all of it');
    near.end();
    if (when === 'in a later turn') await once(near, 'finish');
    resetSocket(near);
    await closed;
    expect(near.errored).toBeNull();
  },
);

test('a socket that has not ended is reset, also with bytes that nobody takes', async () => {
  for (const bytes of [0, 32 * 1024 * 1024]) {
    using ends = await connected();
    const { near, far } = ends;
    const closed = once(near, 'close');
    if (bytes > 0) near.end(Buffer.alloc(bytes));
    const broken = once(far, 'error');
    resetSocket(near);
    far.resume();
    await closed;
    const [error] = await broken;
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  }
});
