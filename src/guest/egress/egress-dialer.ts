import { type ClientHttp2Stream, constants } from 'node:http2';
import type { Socket } from 'node:net';
import { CaissonError } from '../../kernel/errors.ts';
import { resetSocket } from '../../kernel/reset-socket.ts';
import { egressHeaders, egressPath, mostEgressConnections } from '../../wire/contract/egress.ts';
import { leaveStream, openStream, refusalOf, responseStatus } from '../../wire/requests.ts';
import { Tunnel } from '../../wire/tunnel.ts';
import type { Outward } from '../outward.ts';
import { Places } from '../places.ts';

/** What a host may have for characters before anything is asked: what is not a host is told so at the other end. */
const longestHost = 300;

/** The guest's way to the world: it asks, and decides nothing. */
export class EgressDialer {
  readonly #outward: Outward;
  readonly #places = new Places(mostEgressConnections, 'connections of the sandbox');

  constructor(outward: Outward) {
    this.#outward = outward;
  }

  /**
   * A connection to the host, as the control plane allows it. Waits for the control plane where there is none.
   * Errors: those of `contract/egress.ts`; WIRE_LOST; the signal's reason.
   */
  async connect(host: string, port: string, signal: AbortSignal): Promise<Tunnel> {
    if (!/^[\x21-\x7e]+$/.test(host) || host.length > longestHost || !/^\d{1,5}$/.test(port)) {
      throw new CaissonError('BAD_REQUEST', 'The connection must name a host and a port.');
    }
    const stream = await this.#open(host, port, signal);
    const abort = (): void => leaveStream(stream);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      let tunnel: Tunnel | undefined;
      stream.once('response', (headers) => {
        if (headers[':status'] === 200) tunnel = new Tunnel(stream);
      });
      const status = await responseStatus(stream, signal);
      if (tunnel !== undefined) return tunnel;
      stream.close(constants.NGHTTP2_NO_ERROR);
      throw await refusalOf(stream, status, signal);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** The same for a program that is silent until it is connected: one that ends before that has gone, and waits no more. */
  async connectFor(program: Socket, host: string, port: string): Promise<Tunnel> {
    using _ended = destroyAtEnd(program);
    return await this.connect(host, port, goneWith(program));
  }

  #open(host: string, port: string, signal: AbortSignal): Promise<ClientHttp2Stream> {
    return this.#places.hold(async () => {
      const session = await this.#outward.session(signal);
      const stream = openStream(session, {
        headers: {
          ':method': 'POST',
          ':path': egressPath,
          [egressHeaders.host]: host,
          [egressHeaders.port]: port,
        },
        use: 'own',
        endStream: false,
        waitForTrailers: true,
      });
      return { session, stream };
    });
  }
}

/** Bytes both ways, each way with an end of its own. What was cut on one side is reset on the other: it never looks whole. */
export function join(program: Socket, tunnel: Tunnel): void {
  program.pipe(tunnel);
  tunnel.pipe(program);
  program.once('close', () => {
    if (!program.readableEnded || program.errored !== null) tunnel.destroy();
  });
  tunnel.once('close', () => {
    if (!tunnel.readableEnded || tunnel.errored !== null) resetSocket(program);
  });
}

/** Aborts when the program lets go. */
export function goneWith(program: Socket): AbortSignal {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new CaissonError('ABORTED', 'The program has gone.'));
  program.once('close', abort);
  if (program.destroyed) abort();
  return gone.signal;
}

/** Of what nobody reads no end is seen either. What the program says before its end stays where it is, unread. */
function destroyAtEnd(program: Socket): Disposable {
  const look = (): void => {
    if (program.readableLength === 0) program.read();
  };
  const leave = (): void => void program.destroy();
  program.on('readable', look).once('end', leave);
  return { [Symbol.dispose]: () => void program.off('readable', look).off('end', leave) };
}
