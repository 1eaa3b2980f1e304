import type { Duplex } from 'node:stream';
import { refusal } from './ending.ts';
import { beginning, readHelloTo, type Waiting } from './first-bytes.ts';
import type { EgressTarget } from './ports.ts';

interface PassHelloOptions extends Waiting {
  readonly target: EgressTarget;
  readonly upstream: Duplex;
}

/** Beyond this a host has given no answer: it begins with it, or with an alert or two. */
const mostAnswerBytes = 1_024;
/** And a program no second hello: before it may lie what was sent ahead, of which servers take up to 16 KiB. */
const mostAheadBytes = 64 * 1_024;
const recordHeadBytes = 5;
const records = { changeCipherSpec: 0x14, alert: 0x15, handshake: 0x16, data: 0x17 } as const;
const serverHello = 2;
/** Of a ServerHello that is none, but asks for another hello (RFC 8446, 4.1.3). */
const retryRandom = Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex');

/**
 * Passes on the hello that a program has begun with, which is known to be sound, and what the host answers. Nothing else goes to
 * the host before that: it may ask for another hello, and believe the name in that one, which then must be as sound as the first.
 *
 * Rejects with an Ending, or the signal's reason.
 */
export async function passHello(program: Duplex, { target, upstream, ...waiting }: PassHelloOptions): Promise<void> {
  const { bytes } = await beginning(program, { ...waiting, read: (said) => readHelloTo(target, said) });
  const hello = program.read(bytes) as Buffer | null;
  if (hello === null) return; // the program has gone
  upstream.write(hello);
  const { said, asksForAnother } = await answerToHello(upstream, program);
  if (said.length > 0) program.write(said);
  if (asksForAnother) await beginning(program, { ...waiting, read: (more) => readSecondHello(more, target) });
}

interface HostAnswer {
  readonly said: Buffer;
  readonly asksForAnother: boolean;
}

/** What the host has said until it is known whether it asks; as much as there is where either side goes. */
function answerToHello(upstream: Duplex, program: Duplex): Promise<HostAnswer> {
  let said: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const settle = (how: () => void): void => {
      upstream.off('data', take).off('end', over).off('close', over);
      program.off('close', over);
      upstream.pause();
      how();
    };
    const over = (): void => settle(() => resolve({ said, asksForAnother: false }));
    const take = (chunk: Buffer): void => {
      said = said.length === 0 ? chunk : Buffer.concat([said, chunk]);
      const asksForAnother = isRetryRequest(said);
      if (asksForAnother !== undefined) settle(() => resolve({ said, asksForAnother }));
      else if (said.length > mostAnswerBytes)
        settle(() => reject(refusal('The host gave no answer to the TLS hello.')));
    };
    if (upstream.destroyed || program.destroyed) return resolve({ said, asksForAnother: false });
    upstream.on('data', take).once('end', over).once('close', over).resume();
    program.once('close', over);
  });
}

/** Undefined while it cannot be told yet. What is no handshake is no request for another one. */
function isRetryRequest(bytes: Buffer): boolean | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += recordHeadBytes + recordLength(bytes, at)) {
    if (bytes[at] !== records.handshake && bytes[at] !== records.alert) return false;
    if (bytes.length - at < recordHeadBytes) return undefined;
    if (bytes[at] === records.handshake) parts.push(recordContent(bytes, at));
    const message = Buffer.concat(parts);
    // Its type, its length, a version, and the random.
    if (message.length >= 6 + retryRandom.length) {
      return message[0] === serverHello && message.subarray(6, 6 + retryRandom.length).equals(retryRandom);
    }
  }
  return undefined;
}

/** Whatever lies before it: data that was sent ahead, and what says in vain that a cipher is changed. */
function readSecondHello(bytes: Buffer, target: EgressTarget): true | undefined {
  const isBefore: readonly (number | undefined)[] = [records.changeCipherSpec, records.alert, records.data];
  for (let at = 0; bytes.length - at >= recordHeadBytes; at += recordHeadBytes + recordLength(bytes, at)) {
    if (bytes[at] === records.handshake) return readHelloTo(target, bytes.subarray(at)) && true;
    if (!isBefore.includes(bytes[at])) throw refusal('What follows the TLS hello is no TLS.');
  }
  if (bytes.length > mostAheadBytes) throw refusal('The second TLS hello that the host has asked for did not come.');
  return undefined;
}

function recordLength(bytes: Buffer, at: number): number {
  return bytes.readUInt16BE(at + 3);
}

function recordContent(bytes: Buffer, at: number): Buffer {
  const start = at + recordHeadBytes;
  return bytes.subarray(start, start + recordLength(bytes, at));
}
