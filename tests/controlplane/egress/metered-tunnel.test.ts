import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Admit, MeteredTunnel } from '../../../src/controlplane/egress/metered-tunnel.ts';

const chunkBytes = 16_384;
/** What a stream holds by itself. */
const heldByStreams = 65_536;
const inAll = 16 * 1_024 ** 2;

/** What a program would send: 16 MiB, as fast as they are taken. */
class EagerProgram extends Duplex {
  sent = 0;

  override _read(): void {
    if (this.sent === inAll) return void this.push(null);
    this.sent += chunkBytes;
    this.push(Buffer.alloc(chunkBytes));
  }

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }
}

/** Until nothing more comes, but what would wait for a reader. */
async function quiet(program: EagerProgram): Promise<void> {
  for (let before = -1; before !== program.sent;) {
    before = program.sent;
    for (let each = 0; each < 20; each++) await turn();
  }
}

function tunnelOf(program: EagerProgram, admit: Admit): MeteredTunnel {
  const tunnel = new MeteredTunnel(program, admit);
  tunnel.read(0); // somebody wants to read, and takes nothing
  return tunnel;
}

test('what nobody takes on the other side is not read from the program either', async () => {
  const program = new EagerProgram();
  const tunnel = tunnelOf(program, () => undefined);
  await quiet(program);
  expect(program.sent).toBeLessThanOrEqual(2 * heldByStreams + chunkBytes);
  let taken = 0;
  for await (const chunk of tunnel) taken += (chunk as Buffer).length;
  expect(taken).toBe(inAll);
});

test('while one piece waits to be admitted nothing more is read, and nothing more asked for', async () => {
  const program = new EagerProgram();
  const waiting: (() => void)[] = [];
  const admit: Admit = () => new Promise((resolve) => void waiting.push(resolve));
  const tunnel = tunnelOf(program, admit);
  await quiet(program);
  expect(waiting.length).toBe(1);
  expect(program.sent).toBeLessThanOrEqual(2 * heldByStreams);
  expect(tunnel.readableLength).toBe(0);
  waiting.pop()?.();
  await quiet(program);
  expect(waiting.length).toBe(1);
  expect(tunnel.readableLength).toBe(chunkBytes);
  tunnel.destroy();
});
