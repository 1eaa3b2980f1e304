import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { readerRoom } from '../api/sse/reader-room.ts';
import { hijack } from './hijack.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** JSON, in the form of `bodyOf`. */
  readonly body: string | Buffer;
}

interface SendOptions {
  /** A caller who waits longer is given signs of life. */
  readonly pulseMs: number;
  /** How long the reader may take nothing. */
  readonly stallMs: number;
}

/** A longer answer is written in parts of this size, so that a slow reader is told from one who takes nothing. */
const partBytes = 1_024 * 1_024;

/** What is long becomes bytes, of which no second copy is held while they are sent. */
export function bodyOf(text: string): string | Buffer {
  return text.length > partBytes ? Buffer.from(text) : text;
}

/**
 * Sends a JSON answer that may be long in coming. Clients and proxies give a silent server up (nginx after 60 s, Node's `fetch`
 * after 300 s), so one that takes longer than `pulseMs` begins before it is known: with status 200, and a line feed each
 * `pulseMs`, which JSON allows in front of it. Then the body alone tells whether the call has failed.
 *
 * Resolves when the reader has taken all of it, or has gone. Rejects with ReaderStalled, having cut the reader off.
 */
export async function sendWhenKnown(reply: FastifyReply, coming: Promise<Answer>, options: SendOptions): Promise<void> {
  const { raw } = reply;
  const { pulseMs, stallMs } = options;
  const pulse = setInterval(() => {
    if (raw.destroyed) return;
    if (!raw.headersSent) hijack(reply).writeHead(200, { 'content-type': 'application/json' });
    if (!raw.writableNeedDrain) raw.write('\n');
  }, pulseMs);
  try {
    const answer = await coming;
    clearInterval(pulse);
    await send(reply, answer, stallMs);
    await readerRoom(raw, stallMs, 'finish');
  } catch (thrown) {
    if (raw.headersSent) raw.destroy(); // nobody else ends it any more
    throw thrown;
  } finally {
    clearInterval(pulse);
  }
}

async function send(reply: FastifyReply, { status, headers, body }: Answer, stallMs: number): Promise<void> {
  const { raw } = reply;
  if (typeof body !== 'string') {
    if (!raw.headersSent) {
      hijack(reply.headers(Object.fromEntries(headers)).header('content-length', body.length)).writeHead(status);
    }
    await sendParts(raw, body, stallMs);
  } else if (raw.headersSent) raw.end(body);
  // Whole, and so in one write: as a stream it would take three, and a few turns of the event loop.
  else await reply.status(status).headers(Object.fromEntries(headers)).send(body);
}

async function sendParts(raw: ServerResponse, bytes: Buffer, stallMs: number): Promise<void> {
  for (let at = 0; at < bytes.length && !raw.destroyed; at += partBytes) {
    if (!raw.write(bytes.subarray(at, at + partBytes))) await readerRoom(raw, stallMs);
  }
  raw.end();
}
