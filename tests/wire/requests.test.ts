import { EventEmitter } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readAnswer } from '../../src/wire/requests.ts';
import { usedMemory } from '../used-memory.ts';

const mebibyte = 1024 * 1024;

test('an answer that comes byte by byte takes the memory of its bytes', async () => {
  const stream = Object.assign(new EventEmitter(), { readableEnded: false, destroyed: false });
  const answer = readAnswer(stream as unknown as ClientHttp2Stream, {
    answer: z.string(),
    what: 'GET /',
    maxAnswerBytes: mebibyte,
    signal: undefined,
  });
  stream.emit('response', { ':status': 200 });
  const before = usedMemory();
  const text = 'x'.repeat(200_000);
  for (const byte of Buffer.from(JSON.stringify(text))) stream.emit('data', Buffer.from([byte]));
  expect(usedMemory() - before).toBeLessThan(8 * mebibyte);
  stream.emit('end');
  expect(await answer).toBe(text);
});
