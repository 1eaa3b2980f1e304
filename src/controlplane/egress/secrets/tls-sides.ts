import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext, getCACertificates, type SecureContext, TLSSocket } from 'node:tls';
import { deadline, orAbort } from '../../../kernel/deadline.ts';
import { CaissonError, toCaissonError } from '../../../kernel/errors.ts';
import { Ending, refusal } from '../ending.ts';
import type { EgressOutcome } from '../ports.ts';

interface SideOptions {
  readonly host: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * One protocol on both sides, which git, npm and every HTTP client speak: what is checked is then what is sent, and no request
 * is translated on its way.
 */
const protocols = ['http/1.1'];

/** Whom the gateway trusts towards hosts: the authorities that Node brings, and the operator's own. */
export function outwardTrust(extraAuthorities: string): SecureContext {
  return createSecureContext({
    ca: [...getCACertificates('default'), ...(extraAuthorities === '' ? [] : [extraAuthorities])],
    minVersion: 'TLSv1.2',
  });
}

/**
 * TLS to the host, over a connection to an address that was checked. Its certificate must be good, for this name, and of an
 * authority in `trust`. Rejects with an Ending; the signal's reason.
 */
export async function tlsToHost(
  upstream: Socket,
  { host, trust, timeoutMs, signal }: SideOptions & { readonly trust: SecureContext },
): Promise<TLSSocket> {
  const side = connect({
    socket: upstream,
    servername: host,
    secureContext: trust,
    rejectUnauthorized: true,
    ALPNProtocols: protocols,
  });
  await shakeHands(side, 'secureConnect', {
    what: `The TLS handshake with ${host}`,
    failed: (code) => refusal(`The host did not show that it is ${host} (${code}).`),
    brokeOff: () => refusal(`The host did not show that it is ${host} (it broke off).`),
    late: 'unreachable',
    timeoutMs,
    signal,
  });
  return side;
}

/** TLS to the program in the sandbox, which takes `identity` for the host. Rejects with an Ending; the signal's reason. */
export async function tlsToProgram(
  program: Duplex,
  { host, identity, timeoutMs, signal }: SideOptions & { readonly identity: SecureContext },
): Promise<TLSSocket> {
  const side = new TLSSocket(program, { isServer: true, secureContext: identity, ALPNProtocols: protocols });
  await shakeHands(side, 'secure', {
    what: 'The TLS handshake with the program',
    failed: (code) =>
      refusal(
        `The program did not take the certificate of its sandbox for ${host}, or does not speak HTTP/1.1 (${code}).`,
      ),
    brokeOff: () => new Ending('closed', new CaissonError('ABORTED', 'The program gave the connection up.')),
    late: 'over_limit',
    timeoutMs,
    signal,
  });
  return side;
}

interface Handshake {
  readonly what: string;
  readonly failed: (code: string) => Ending;
  readonly brokeOff: () => Ending;
  /** What it counts as when it takes too long. */
  readonly late: EgressOutcome;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

async function shakeHands(
  side: TLSSocket,
  done: 'secure' | 'secureConnect',
  { what, failed, brokeOff, late, timeoutMs, signal }: Handshake,
): Promise<void> {
  using limit = deadline(timeoutMs, what, signal);
  side.on('error', () => undefined); // told below; later ones also emit 'close'
  try {
    await orAbort(
      new Promise<void>((resolve, reject) => {
        side.once(done, resolve);
        side.once('error', (error) => reject('code' in error ? failed(String(error.code)) : brokeOff()));
        side.once('close', () => reject(brokeOff()));
      }),
      limit.signal,
    );
  } catch (thrown) {
    side.destroy();
    if (thrown === limit.signal.reason && !signal.aborted) throw new Ending(late, toCaissonError(thrown));
    throw thrown;
  }
}
