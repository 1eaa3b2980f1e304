import { type Duplex, duplexPair } from 'node:stream';
import { inwardServerOptions } from '../../src/wire/http2-settings.ts';
import { GuestClient } from '../../src/wire/guest-client.ts';
import { serveHttp2, type StreamHandler } from '../../src/wire/serve-http2.ts';
import { Transport } from '../../src/wire/transport.ts';
import type { WireSession } from '../../src/wire/wire-session.ts';

/** A guest that answers as the test says, at the other end of a byte stream in memory. */
export interface FakeGuest extends AsyncDisposable {
  readonly client: GuestClient;
  readonly server: WireSession;
  /** The guest's end of the byte stream. */
  readonly duplex: Duplex;
}

export function fakeGuest(handler: StreamHandler): FakeGuest {
  const [near, far] = duplexPair();
  const server = serveHttp2(new Transport(far), { handler, bounds: inwardServerOptions });
  const client = new GuestClient(near);
  return {
    client,
    server,
    duplex: far,
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), server.close()]);
    },
  };
}
