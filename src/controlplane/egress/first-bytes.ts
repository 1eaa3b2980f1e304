import type { Duplex } from 'node:stream';
import { CaissonError } from '../../kernel/errors.ts';
import { type HelloReading, looksLikeTls, readClientHello } from './client-hello.ts';
import { Ending, refusal } from './ending.ts';
import type { EgressTarget } from './ports.ts';
import { isAddress } from './target.ts';

/** What a program speaks, by how it begins. `opaque` is what nobody can look into for a name. */
export type Protocol = 'tls' | 'http' | 'ssh' | 'opaque';

export interface Waiting {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Listening extends Waiting {
  readonly target: EgressTarget;
  /** For a host that an operator has named, anything may be spoken, and the host may speak first. */
  readonly internal: boolean;
  /** The host's side, of which nothing is read here. */
  readonly upstream: Duplex;
}

/** More pieces than this has a hello only from a program that means to keep somebody busy. */
const maxPieces = 256;
const sshGreeting = 'SSH-';
/** The first line of SSH, and its longest (RFC 4253, 4.2). */
const sshLine = /^SSH-(2\.0|1\.99)-[\x21-\x7e]+( [\x20-\x7e]*)?\r?\n/;
const longestSshLine = 255;
const requestLine = /^[A-Za-z]{1,32} [^ \r\n]+ HTTP\/\d/;

/**
 * Waits for what the program says first, and says what it speaks, once that is known to be sound: a TLS hello must name the
 * target's host and no other. What was read is put back. On the way to a public host, what is neither TLS nor SSH counts as
 * HTTP, which then has to be that.
 *
 * Rejects with an Ending, or the signal's reason.
 */
export function listenToProgram(program: Duplex, options: Listening): Promise<Protocol> {
  const { upstream, internal, target } = options;
  return beginning(program, {
    ...options,
    read: (bytes) => protocolOf(bytes, target, internal),
    ...(internal && { whereOver: 'opaque', orElse: { speaks: upstream, as: 'opaque' } }),
  });
}

interface Beginning<Read> extends Waiting {
  /** What the first bytes say; undefined while it cannot be told yet. Throws what ends the connection. */
  readonly read: (bytes: Buffer) => Read | undefined;
  /** What it is where the program says no more. Default: that ends the connection. */
  readonly whereOver?: Read;
  /** What it is where somebody else speaks before it does. */
  readonly orElse?: { readonly speaks: Duplex; readonly as: Read };
}

/**
 * Waits for what the program says first, until that can be told. What was read is put back.
 *
 * Rejects with an Ending, or the signal's reason.
 */
export function beginning<Read>(
  program: Duplex,
  { read, whereOver, orElse, timeoutMs, signal }: Beginning<Read>,
): Promise<Read> {
  let bytes: Buffer = Buffer.alloc(0);
  let pieces = 0;
  return new Promise((resolve, reject) => {
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      orElse?.speaks.off('readable', otherSpeaks);
      program.off('data', take).off('end', ended).off('close', gone);
      program.pause();
      if (bytes.length > 0 && !program.destroyed) program.unshift(bytes);
      how();
    };
    const fail = (reason: unknown): void => settle(() => reject(reason));
    const take = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      pieces++;
      try {
        const said = read(bytes);
        if (said !== undefined) settle(() => resolve(said));
        else if (pieces >= maxPieces) fail(refusal('The beginning of the connection comes in too many pieces.'));
      } catch (thrown) {
        fail(thrown);
      }
    };
    const ended = (): void => {
      if (whereOver !== undefined) settle(() => resolve(whereOver));
      else fail(bytes.length > 0 ? refusal('The connection ended in the middle of its beginning.') : gaveUp());
    };
    const gone = (): void => fail(gaveUp());
    const abort = (): void => fail(signal.reason);
    const otherSpeaks = (): void => {
      if (bytes.length === 0 && orElse !== undefined) settle(() => resolve(orElse.as));
    };
    const timer = setTimeout(() => {
      const message = `The program has not said within ${timeoutMs / 1_000} s what it wants.`;
      fail(new Ending('over_limit', new CaissonError('EGRESS_REFUSED', message)));
    }, timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) return abort();
    orElse?.speaks.on('readable', otherSpeaks);
    program.on('data', take).once('end', ended).once('close', gone).resume();
  });
}

/** Undefined while it cannot be told yet. */
function protocolOf(bytes: Buffer, target: EgressTarget, internal: boolean): Protocol | undefined {
  if (looksLikeTls(bytes)) return readTls(bytes, target);
  const start = bytes.toString('latin1', 0, longestSshLine);
  if (sshGreeting.startsWith(start)) return undefined;
  if (start.startsWith(sshGreeting)) {
    if (!start.includes('\n') && start.length < longestSshLine) return undefined;
    const [line] = sshLine.exec(start) ?? [];
    // `SSH-2.0-x / HTTP/1.1` is a request as well, to a server that takes any method.
    if (line !== undefined && !/http\//i.test(line)) return 'ssh';
  }
  return internal && !requestLine.test(bytes.toString('latin1', 0, 4_096)) ? 'opaque' : 'http';
}

function readTls(bytes: Buffer, target: EgressTarget): Protocol | undefined {
  return readHelloTo(target, bytes) && 'tls';
}

/** The hello that the bytes begin with; undefined while it is not whole. Throws where it does not name the target's host alone. */
export function readHelloTo(
  target: EgressTarget,
  bytes: Buffer,
): Extract<HelloReading, { state: 'complete' }> | undefined {
  const hello = readClientHello(bytes);
  if (hello.state === 'incomplete') return undefined;
  if (hello.state === 'malformed') throw refusal(`The TLS hello is not sound. ${hello.reason}`);
  if (hello.hasEncryptedPart) throw refusal('The TLS hello has an encrypted part, which may name another host.');
  // A name that is an address is not sent in a hello (RFC 6066, 3).
  if (hello.serverName === null && !isAddress(target.host)) throw refusal('The TLS hello names no host.');
  if (hello.serverName !== null && hello.serverName !== target.host) {
    throw refusal('The TLS hello names another host than the one that was allowed.');
  }
  return hello;
}

function gaveUp(): Ending {
  return new Ending('closed', new CaissonError('ABORTED', 'The program gave the connection up.'));
}
