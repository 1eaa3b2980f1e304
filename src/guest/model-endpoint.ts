import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { CaissonError, errorText, toCaissonError } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { modelEndpoint, outwardModelPrefix } from '../wire/contract/guest-api.ts';
import { leaveStream, openStream, wasCut } from '../wire/requests.ts';
import { endToEndHeaders } from '../wire/end-to-end-headers.ts';
import type { Outward } from './outward.ts';
import { Places } from './places.ts';

// An `import` of this module loads Node's fetch as well, which takes 15 ms at every start of a sandbox.
const { createServer } = process.getBuiltinModule('node:http');

export interface ModelEndpointOptions {
  readonly outward: Outward;
  /** What an answer has to wait for, asked when it begins; undefined when it is nothing. Never rejects, and is bounded. */
  readonly beforeAnswers?: () => Promise<unknown> | undefined;
  readonly logger: Logger;
}

/** Of requests as well: as many as `outwardServerOptions` has streams. */
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
  const places = new Places(maxConnections, 'requests to the model');
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: 0,
  });
  server.maxConnections = maxConnections;
  server.maxHeadersCount = maxHeaders;
  server.on('request', (request, response) => {
    void forward({ outward, places, request, response, beforeAnswers }).catch((thrown: unknown) => {
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
  readonly places: Places;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly beforeAnswers: ModelEndpointOptions['beforeAnswers'];
}

async function forward({ outward, places, request, response, beforeAnswers }: Forwarding): Promise<void> {
  const path = request.url ?? '';
  if (!path.startsWith('/')) throw new CaissonError('BAD_REQUEST', 'The model endpoint is no proxy.');
  const stream = await places.hold(async () => {
    const session = outward.newest ?? (await nextSession(outward, response));
    const opened = openStream(session, {
      headers: {
        ...endToEndHeaders(request.headers),
        ':method': request.method,
        ':path': outwardModelPrefix + path,
      },
      endStream: false,
    });
    response.once('close', () => {
      // Else the harness gave up the request. One that was asked and answered whole is about to close.
      const isOver = response.writableFinished && opened.writableFinished;
      if (!opened.closed && !isOver) leaveStream(opened);
    });
    return { session, stream: opened };
  });
  passBody(request, stream);
  await answerWith(stream, response, beforeAnswers);
}

/** Waits for a control plane, as long as the harness waits. */
async function nextSession(outward: Outward, response: ServerResponse): Promise<ClientHttp2Session> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new CaissonError('ABORTED', 'The harness gave up the request.')));
  const session = await outward.session(gone.signal);
  gone.signal.throwIfAborted();
  return session;
}

/**
 * Ends with the last bytes of a body whose length is known: its end by itself would be one more frame, which both sides wake up for.
 * What is left of one that was answered before is thrown away: a connection that is not read on stands still.
 */
function passBody(request: IncomingMessage, stream: ClientHttp2Stream): void {
  let left = Number(request.headers['content-length'] ?? Number.NaN);
  request.on('data', (chunk: Buffer) => {
    if (stream.destroyed) return;
    left -= chunk.length;
    if (left === 0) stream.end(chunk);
    else if (!stream.write(chunk)) request.pause();
  });
  stream.on('drain', () => request.resume());
  stream.once('close', () => request.resume());
  request.once('end', () => stream.end());
}

/** Resolves when the whole answer is on its way. */
function answerWith(
  stream: ClientHttp2Stream,
  response: ServerResponse,
  beforeAnswers: ModelEndpointOptions['beforeAnswers'],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const broken = (): void => reject(wireLost(response));
    stream.once('close', broken);
    // Not before it has begun: one that the other end gives up without a code ends as well, and has said nothing.
    stream.once('response', (headers) => {
      stream.once('end', () => {
        // Asked right at its end, before Node's own listener lets go of the session of an answer that was held back.
        if (wasCut(stream)) return broken();
        stream.off('close', broken);
        response.end();
        resolve();
      });
      const begin = (): void => {
        if (response.destroyed || response.headersSent) return; // given up, or refused, meanwhile
        response.writeHead(headers[':status'] ?? 502, endToEndHeaders(headers));
        response.flushHeaders();
        response.on('drain', () => stream.resume());
        stream.on('data', (chunk: Buffer) => {
          if (!response.destroyed && !response.write(chunk)) stream.pause();
        });
        stream.resume();
      };
      const hold = beforeAnswers?.();
      if (hold === undefined) begin();
      else {
        stream.pause(); // Node throws the content of an answer away that ends before anybody has asked for it
        void hold.then(begin);
      }
    });
  });
}

function wireLost({ headersSent }: ServerResponse): CaissonError {
  const when = headersSent ? 'in the middle of the answer' : 'before the model answered';
  return new CaissonError('WIRE_LOST', `The wire broke ${when}.`);
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
