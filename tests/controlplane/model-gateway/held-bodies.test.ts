import { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { responsesApi } from '../../../src/controlplane/model-gateway/apis/responses.ts';
import { GuestBody } from '../../../src/controlplane/model-gateway/guest-body.ts';
import { HeldRoom } from '../../../src/controlplane/model-gateway/held-room.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { usedMemory } from '../../used-memory.ts';

const mebibyte = 1024 * 1024;

test('an agent that takes all that it can leaves room for the next one, and so do ten', () => {
  const room = new HeldRoom(256 * mebibyte);
  const takeAll = (): number => {
    const share = room.of(newAgentId());
    let pieces = 0;
    while (share.take(64 * 1024)) pieces++;
    return pieces / 16;
  };
  const taken = Array.from({ length: 11 }, takeAll);
  expect(taken[0]).toBe(64);
  expect(taken[10]).toBeGreaterThan(2);
});

test('what an agent gives back is there for it, and for others', () => {
  const room = new HeldRoom(256 * mebibyte);
  const share = room.of(newAgentId());
  for (let call = 0; call < 10; call++) {
    expect(share.take(64 * mebibyte)).toBe(true);
    expect(share.take(1)).toBe(false);
    share.giveBack(64 * mebibyte);
  }
  expect(room.of(newAgentId()).take(64 * mebibyte)).toBe(true);
});

test('a body that comes byte by byte takes no more memory than one in large pieces', () => {
  const stream = Object.assign(new EventEmitter(), { resume() {}, pause() {}, aborted: false });
  const body = new GuestBody({
    stream: stream as unknown as ServerHttp2Stream,
    api: responsesApi,
    declaredBytes: undefined,
    maxBytes: mebibyte,
    room: new HeldRoom(4 * mebibyte).of(newAgentId()),
    onProblem: () => undefined,
    onProgress: () => undefined,
  });
  void body.model();
  const before = usedMemory();
  stream.emit('data', Buffer.from('{"model":"gpt-5.5"'));
  for (let sent = 0; sent < 500_000; sent++) stream.emit('data', Buffer.from(' '));
  expect(usedMemory() - before).toBeLessThan(8 * mebibyte);
  expect(body.bytes).toBe(500_018);
});
