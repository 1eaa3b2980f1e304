import { createServer, type Server, type Socket } from 'node:net';
import { isIPv6 } from 'node:net';
import { type ErrorCode } from '../../kernel/error-table.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { type EgressDialer, join } from './egress-dialer.ts';

const maxConnections = 1_024;
const handshakeTimeoutMs = 30_000;
const version = 5;
const noAuthentication = 0x00;
const noAcceptableMethod = 0xff;
const connectCommand = 1;
const addressTypes = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** RFC 1928, 6. */
const replies = {
  done: 0,
  failed: 1,
  denied: 2,
  unreachable: 4,
  refused: 5,
  noSuchCommand: 7,
  noSuchAddress: 8,
} as const;

const replyOf: Partial<Record<ErrorCode, number>> = {
  EGRESS_DENIED: replies.denied,
  EGRESS_REFUSED: replies.denied,
  EGRESS_UNREACHABLE: replies.unreachable,
};

/**
 * SOCKS5 (RFC 1928) for programs that do not speak HTTP to a proxy: CONNECT, without authentication. Names are not resolved
 * here. There is no UDP, and nothing listens for others.
 */
export function createSocksProxy(dialer: EgressDialer): Server {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (program) => {
    program.on('error', () => undefined); // also emits 'close'
    void serve(dialer, program).catch(() => program.destroy()); // it broke off, or speaks something else
  });
  server.maxConnections = maxConnections;
  return server;
}

async function serve(dialer: EgressDialer, program: Socket): Promise<void> {
  const timer = setTimeout(() => program.destroy(), handshakeTimeoutMs);
  try {
    const methods = await greeting(program);
    if (!methods.includes(noAuthentication)) {
      refuse(program, Buffer.from([version, noAcceptableMethod]));
      return;
    }
    program.write(Buffer.from([version, noAuthentication]));
    const asked = await readRequest(program);
    clearTimeout(timer);
    if (typeof asked === 'number') {
      refuse(program, reply(asked));
      return;
    }
    let tunnel;
    try {
      tunnel = await dialer.connectFor(program, asked.host, String(asked.port));
    } catch (thrown) {
      refuse(program, reply(replyOf[toCaissonError(thrown).code] ?? replies.failed));
      return;
    }
    if (program.destroyed) {
      tunnel.destroy();
      return;
    }
    program.write(reply(replies.done));
    join(program, tunnel);
  } finally {
    clearTimeout(timer);
  }
}

function refuse(program: Socket, words: Buffer): void {
  program.end(words);
  program.resume(); // what it said before it heard of it: unread, it would keep the connection for ever
}

async function greeting(program: Socket): Promise<Buffer> {
  const [first, count] = await take(program, 2);
  if (first !== version || count === undefined || count === 0)
    throw new CaissonError('BAD_REQUEST', 'It is no SOCKS5.');
  return await take(program, count);
}

/** Where to; or the reply to what is not offered. */
async function readRequest(program: Socket): Promise<{ readonly host: string; readonly port: number } | number> {
  const [first, command, , type] = await take(program, 4);
  if (first !== version) throw new CaissonError('BAD_REQUEST', 'It is no SOCKS5.');
  const host = await readAddress(program, type);
  if (host === undefined) return replies.noSuchAddress;
  const port = (await take(program, 2)).readUInt16BE(0);
  return command === connectCommand ? { host, port } : replies.noSuchCommand;
}

async function readAddress(program: Socket, type: number | undefined): Promise<string | undefined> {
  switch (type) {
    case addressTypes.ipv4:
      return (await take(program, 4)).join('.');
    case addressTypes.ipv6: {
      const bytes = await take(program, 16);
      const text = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
      return isIPv6(text) ? text : undefined;
    }
    case addressTypes.name: {
      const [length = 0] = await take(program, 1);
      return length === 0 ? undefined : (await take(program, length)).toString('latin1');
    }
    default:
      return undefined;
  }
}

/** Exactly `count` bytes; what follows them stays in the socket. Rejects where it ends before. */
async function take(program: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes = program.read(count) as Buffer | null;
    if (bytes !== null && bytes.length === count) return bytes;
    if (bytes !== null || program.readableEnded || program.destroyed)
      throw new CaissonError('ABORTED', 'It broke off.');
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        program.off('readable', settle).off('end', settle).off('close', settle);
        resolve();
      };
      program.once('readable', settle).once('end', settle).once('close', settle);
    });
  }
}

/** The address that a reply must hold says nothing: nobody has use for it. */
function reply(code: number): Buffer {
  return Buffer.from([version, code, 0, addressTypes.ipv4, 0, 0, 0, 0, 0, 0]);
}
