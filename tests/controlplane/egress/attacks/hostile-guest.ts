import { once } from 'node:events';
import { type ClientHttp2Stream, constants } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { EgressLimits } from '../../../../src/controlplane/egress/egress-limits.ts';
import { createEgressGateway, type EgressGateway } from '../../../../src/controlplane/egress/gateway.ts';
import type { EgressRecord } from '../../../../src/controlplane/egress/ports.ts';
import { newAgentId } from '../../../../src/kernel/ids.ts';
import { connectHttp2 } from '../../../../src/wire/connect-http2.ts';
import { egressHeaders, egressPath } from '../../../../src/wire/contract/egress.ts';
import { egressClientOptions } from '../../../../src/wire/http2-settings.ts';
import { openStream, responseStatus } from '../../../../src/wire/requests.ts';
import { serveOutward } from '../../../../src/wire/serve-outward.ts';
import { until } from '../../../until.ts';
import { PlayedPolicy, publicHost } from '../egress-fixture.ts';

/** An address of the public internet. Nothing is ever sent to it: what is dialled in these tests is on this machine. */
export const publicAddress = '93.184.216.34';

export interface Attempt {
  readonly status: number;
  readonly stream: ClientHttp2Stream;
}

/** A guest that an attacker has replaced, on a real wire to a real gateway whose rules allow everything. */
export interface HostileGuest extends AsyncDisposable {
  readonly gateway: EgressGateway;
  readonly policy: PlayedPolicy;
  readonly records: EgressRecord[];
  /** What was connected to, in place of which a server of this machine took the connection. */
  readonly dialled: string[];
  /** What names were looked up. */
  readonly resolved: string[];
  /** What that server got of all its connections. */
  readonly reached: () => string;
  readonly meter: { take: (bytes: number) => Promise<void> | void };
  readonly ownPorts: Set<number>;
  /** The host's side of the connections that it has taken. */
  readonly accepted: Socket[];
  /** Asks for a connection. */
  ask(host: string, port?: string, headers?: Readonly<Record<string, string>>): Promise<Attempt>;
  /** Says something on a connection, and resolves when the gateway has ended it, with what came back. */
  say(attempt: Attempt, bytes: string | Buffer | readonly (string | Buffer)[]): Promise<string>;
  /** The record of the only connection, once it is over. */
  recorded(): Promise<EgressRecord>;
}

interface Options {
  readonly addresses?: (host: string) => readonly string[] | Promise<readonly string[]>;
  readonly limits?: Partial<EgressLimits>;
  /** What the host does with a connection. Default: it takes what comes, and says nothing. */
  readonly host?: (socket: Socket) => void;
}

export async function openHostileGuest(options: Options = {}): Promise<HostileGuest> {
  const { addresses = () => [publicAddress], limits = {}, host } = options;
  await using undo = new AsyncDisposableStack();
  const got: Buffer[] = [];
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    host?.(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.defer(async () => {
    for (const socket of accepted) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port: serverPort } = server.address() as AddressInfo;

  const policy = new PlayedPolicy();
  policy.rule = () => publicHost;
  const records: EgressRecord[] = [];
  const dialled: string[] = [];
  const resolved: string[] = [];
  const meter: HostileGuest['meter'] = { take: () => undefined };
  const ownPorts = new Set<number>();
  const resolve = async (name: string): Promise<readonly string[]> => {
    resolved.push(name);
    return await addresses(name);
  };
  const gateway = undo.use(
    createEgressGateway({
      policy,
      meter: { take: (_agentId, bytes) => meter.take(bytes) },
      log: { follow: () => undefined, record: (entry) => void records.push(entry) },
      ownPorts: () => ownPorts,
      limits: { helloTimeoutMs: 2_000, ...limits },
      resolve: { public: resolve, internal: resolve },
      connectTo: async (address) => {
        dialled.push(address);
        const socket = connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true });
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        return socket;
      },
    }),
  );
  const [near, far] = await socketPair();
  const agentId = newAgentId();
  const wire = serveOutward(near, (stream, headers) => gateway.handle(agentId, stream, headers), {
    channel: 'egress',
    onHandlerError: (thrown) => {
      throw thrown;
    },
  });
  const guest = connectHttp2(far, undefined, egressClientOptions);
  undo.defer(async () => {
    await Promise.all([guest.close(), wire.close()]);
  });
  const held = undo.move();
  return {
    gateway,
    policy,
    records,
    dialled,
    resolved,
    meter,
    ownPorts,
    accepted,
    reached: () => Buffer.concat(got).toString('latin1'),
    async ask(to, port = '443', headers = {}) {
      const stream = openStream(guest.session, {
        headers: {
          ':method': 'POST',
          ':path': egressPath,
          [egressHeaders.host]: to,
          [egressHeaders.port]: port,
          ...headers,
        },
        use: 'own',
        endStream: false,
      });
      return { status: await responseStatus(stream), stream };
    },
    async say({ stream }, said) {
      let back = '';
      stream.on('data', (chunk: Buffer) => (back += chunk.toString('latin1')));
      const over = stream.closed ? Promise.resolve() : new Promise((done) => stream.once('close', done));
      stream.once('end', () => stream.end());
      for (const bytes of Array.isArray(said) ? (said as readonly (string | Buffer)[]) : [said as string | Buffer]) {
        stream.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
        if (Array.isArray(said)) await new Promise((next) => setImmediate(next));
      }
      await over;
      return back;
    },
    async recorded() {
      await until('the connection was recorded', () => records.length > 0);
      const [record] = records;
      if (record === undefined || records.length > 1) throw new Error('there is not just one record');
      return record;
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Lets a stream go. */
export function leave({ stream }: Attempt): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
  const [near] = await accepted;
  server.close();
  return [near, far];
}
