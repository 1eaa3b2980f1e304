import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ClientHttp2Stream } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { CaissonError, errorText, toCaissonError } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { modelEndpoint, outwardModelPrefix } from '../wire/contract/guest-api.ts';
import { openStream, wasCut } from '../wire/requests.ts';
import { endToEndHeaders } from '../wire/end-to-end-headers.ts';
import type { Outward } from './outward.ts';

// An `import` of this module loads Node's fetch as well, which takes 15 ms at every start of a sandbox.
const { createServer } = process.getBuiltinModule('node:http');

export interface ModelEndpointOptions {
  readonly outward: Outward;
  /** What an answer has to wait for, asked when it begins; undefined when it is nothing. Never rejects, and is bounded. */
  readonly beforeAnswers?: () => Promise<unknown> | undefined;
  readonly logger: Logger;
}

const maxConnections = 128;
const maxHeaders = 100;
/** Of a request. Well below what the wire takes: headers that are too large would end its whole session. */
const maxHeaderBytes = 32 * 1024;

/** Longer than HTTP clients keep idle connections, so that none sends on one that is being closed here. */
const keepAliveTimeoutMs = 10 * 60_000;

/**
 * The model service as the harness sees it. Every request goes out over the wire as `/model<path>`, streaming both ways;
 * its key is added at the other end. A request waits for the wire, but is never sent twice: when the wire breaks, the
 * harness gets a 502, or a cut answer, and decides itself whether to try again. No answer begins before `beforeAnswers`
 * lets it: an agent does nothing that the model has not told it.
 */
export function createModelEndpoint({ outward, logger, beforeAnswers }: ModelEndpointOptions): Server {
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: 0,
  });
  server.maxConnections = maxConnections;
  server.maxHeadersCount = maxHeaders;
  server.on('request', (request, response) => {
    void forward({ outward, request, response, beforeAnswers }).catch((thrown: unknown) => {
      if (!response.destroyed) logger.warn({ error: errorText(thrown) }, 'a model request did not get through');
      refuse(response, toCaissonError(thrown));
    });
  });
  return server;
}

/** Where the endpoint listens. */
export function listenModelEndpoint(server: Server, port: number): void {
  server.listen(port, modelEndpoint.host);
}

interface Forwarding {
  readonly outward: Outward;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly beforeAnswers: ModelEndpointOptions['beforeAnswers'];
}

async function forward({ outward, request, response, beforeAnswers }: Forwarding): Promise<void> {
  const path = request.url ?? '';
  if (!path.startsWith('/')) throw new CaissonError('BAD_REQUEST', 'The model endpoint is no proxy.');
  const gone = new AbortController();
  response.once('close', () => gone.abort(new CaissonError('ABORTED', 'The harness gave up the request.')));
  const session = await outward.session(gone.signal);
  const stream = openStream(session, {
    headers: {
      ...endToEndHeaders(request.headers),
      ':method': request.method,
      ':path': outwardModelPrefix + path,
    },
    signal: gone.signal,
    endStream: false,
  });
  request.pipe(stream);
  await receive(stream, response, beforeAnswers);
}

async function receive(
  stream: ClientHttp2Stream,
  response: ServerResponse,
  beforeAnswers: ModelEndpointOptions['beforeAnswers'],
): Promise<void> {
  // Asked right at its end, before Node's own listener lets go of the session of an answer that was held back.
  let isCut = false;
  stream.once('end', () => (isCut = wasCut(stream)));
  await new Promise<void>((resolve, reject) => {
    stream.once('close', () => reject(new CaissonError('WIRE_LOST', 'The wire broke before the model answered.')));
    stream.once('response', (headers) => {
      const begin = (): void => {
        if (response.destroyed || response.headersSent) return; // given up, or refused, meanwhile
        response.writeHead(headers[':status'] ?? 502, endToEndHeaders(headers));
        response.flushHeaders();
        resolve();
      };
      const hold = beforeAnswers?.();
      if (hold === undefined) begin();
      else {
        stream.pause(); // Node throws the content of an answer away that ends before anybody has asked for it
        void hold.then(begin);
      }
    });
  });
  await pipeline(stream, response, { end: false });
  if (isCut) throw new CaissonError('WIRE_LOST', 'The wire broke in the middle of the answer.');
  response.end();
}

/** An error in the shape of the OpenAI API, or a cut where the answer has begun. */
function refuse(response: ServerResponse, error: CaissonError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(error.code === 'BAD_REQUEST' ? 400 : 502, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      error: {
        message: `${error.message} ${error.hint}`,
        type: 'server_error',
        param: null,
        code: error.code.toLowerCase(),
      },
    }),
  );
}
