import type { FastifyReply } from 'fastify';
import { hijack } from './hijack.ts';

interface Answer {
  readonly status: number;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  text(): Promise<string>;
}

/**
 * Sends a JSON answer that may be long in coming. Clients and proxies give a silent server up (nginx after 60 s, Node's `fetch`
 * after 300 s), so one that takes longer than `pulseMs` begins before it is known: with status 200, and a line feed each
 * `pulseMs`, which JSON allows in front of it. Then the body alone tells whether the call has failed.
 */
export async function sendWhenKnown(reply: FastifyReply, coming: Promise<Answer>, pulseMs: number): Promise<void> {
  const { raw } = reply;
  const pulse = setInterval(() => {
    if (raw.destroyed) return;
    if (!raw.headersSent) hijack(reply).writeHead(200, { 'content-type': 'application/json' });
    if (!raw.writableNeedDrain) raw.write('\n');
  }, pulseMs);
  try {
    const { status, headers, text } = await whole(coming);
    clearInterval(pulse);
    if (raw.headersSent) raw.end(text);
    // Whole, and so in one write: as a stream it would take three, and a few turns of the event loop.
    else await reply.status(status).headers(Object.fromEntries(headers)).send(text);
  } catch (thrown) {
    if (raw.headersSent) raw.destroy(); // nobody else ends it any more
    throw thrown;
  } finally {
    clearInterval(pulse);
  }
}

async function whole(coming: Promise<Answer>): Promise<Omit<Answer, 'text'> & { readonly text: string }> {
  const answer = await coming;
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}
