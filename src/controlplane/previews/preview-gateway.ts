import type { IncomingMessage, ServerResponse } from 'node:http';
import { type BlockList, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { isAllowedInitiator } from './initiator.ts';
import type { LivePreview } from './live-preview.ts';
import { previewCookie, previewCookies } from './preview-cookies.ts';
import type { PreviewHosts, PreviewPlace } from './preview-hosts.ts';
import type { PreviewProxy } from './preview-proxy.ts';
import { answerRefusal, previewRefusal, writeRefusal } from './preview-refusals.ts';
import type { PreviewService } from './preview-service.ts';
import { splitUrl } from './preview-url.ts';
import { appRequestHeaders, appUpgradeHeaders } from './request-headers.ts';

interface PreviewGatewayOptions {
  readonly previews: Pick<PreviewService, 'admit' | 'exchange'>;
  readonly hosts: PreviewHosts;
  /** Addresses and networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: BlockList;
  /** Requests that come before it resolves wait for it. */
  readonly ready: Promise<void>;
  readonly logger: Logger;
}

export interface PreviewGateway {
  /** Whether a request with this Host header is for us, and for nobody else. */
  covers(host: string | undefined): boolean;
  handle(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** How long a page waits to tell which ports listen. */
const portsTimeoutMs = 2_000;
/** That many are named on a page. */
const mostPortsShown = 20;

/**
 * What answers on the hosts of previews. A link's token is exchanged for a cookie of that host, and the visitor sent on to
 * the same address without it; each request is then checked by the cookie and passed on to the app. Where no app answers,
 * a page says why. Nothing of the API can be reached here.
 */
export function createPreviewGateway(options: PreviewGatewayOptions): PreviewGateway {
  const { previews, hosts, ready, logger } = options;
  const headerOptions = { isSecure: hosts.isSecure, trustedProxies: options.trustedProxies };
  const visits = new WeakMap<IncomingMessage, LivePreview>();

  const answerFor = (reason: Error, request: IncomingMessage, response: ServerResponse | Socket): void => {
    const live = visits.get(request);
    const port = live?.preview.port;
    logger.debug({ previewId: live?.preview.id, err: reason }, 'an app gave no answer');
    if (response instanceof Socket) return writeRefusal(response, previewRefusal(reason, port));
    const isPortClosed = reason instanceof CaissonError && reason.code === 'PORT_NOT_LISTENING';
    if (!isPortClosed || live === undefined) return answerRefusal(request, response, previewRefusal(reason, port));
    // With the ports that would answer; the page is as true without them.
    void listeningPorts(live)
      .catch(() => undefined)
      .then((ports) => answerRefusal(request, response, previewRefusal(reason, port, ports)));
  };
  let proxy: Promise<PreviewProxy> | undefined;
  /** Loaded by the first who needs it: the library brings the fetch client of Node with it (`kernel/node-http.ts`). */
  const openProxy = async (): Promise<PreviewProxy> => {
    proxy ??= import('./preview-proxy.ts').then(({ createPreviewProxy }) => createPreviewProxy({ onError: answerFor }));
    return await proxy;
  };

  /** Lets a request in: the preview is the one that its cookie is for. */
  const admit = async (request: IncomingMessage): Promise<{ live: LivePreview; clean: string }> => {
    const place = placeOf(request);
    const { clean } = splitUrl(request.url ?? '/');
    const live = await previews.admit(previewCookies(request.headers.cookie, hosts), place);
    if (!isAllowedInitiator(request, place, hosts)) {
      throw new CaissonError('FORBIDDEN', 'A page of another origin has sent this request.', {
        hint: 'Only pages of the same agent may. One that shows another port in a frame must send a Referer.',
      });
    }
    return { live, clean };
  };

  const placeOf = ({ headers, headersDistinct, url = '', method }: IncomingMessage): PreviewPlace => {
    const place = hosts.placeOf(headers.host);
    if (place === undefined) throw new CaissonError('PREVIEW_NOT_FOUND', 'There is no preview at this address.');
    // Where another host is named as well, the app might mean that one.
    const isPlain = (url.startsWith('/') || url === '*') && headersDistinct['host']?.length === 1;
    if (!isPlain || method === 'TRACE') {
      throw new CaissonError('BAD_REQUEST', 'Requests for previews name one host, and a path.');
    }
    return place;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    await ready;
    if (await exchange(request, response)) return;
    const proxy = await openProxy();
    const { live, clean } = await admit(request);
    const visit = live.enter('request', () => request.socket.destroy());
    response.once('close', () => visit[Symbol.dispose]());
    if (!visit.isOpen || response.destroyed) throw new CaissonError('PREVIEW_ENDED', 'This preview was ended.');
    visits.set(request, live);
    request.headers = appRequestHeaders(request, headerOptions);
    request.url = clean;
    proxy.web(request, response, live);
  };

  /** True when the request came by a link and is answered: with the cookie, and the way to the clean address. */
  const exchange = async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const { token, clean } = splitUrl(request.url ?? '/');
    if (token === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
    const place = placeOf(request);
    const held = previewCookies(request.headers.cookie, hosts);
    const isIn = await previews.admit(held, place).then(
      () => true,
      () => false, // the link decides
    );
    const isLooking = request.method === 'HEAD' || /prefetch|preview/i.test(String(request.headers['sec-purpose']));
    if (isLooking && !isIn) {
      throw new CaissonError('PREVIEW_FORBIDDEN', 'A preview link is opened by visiting it.');
    }
    const headers: Record<string, string> = {
      location: `${hosts.isSecure ? 'https' : 'http'}://${request.headers.host}${clean}`,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-length': '0',
    };
    if (!isIn) {
      const { cookie, maxAgeMs } = await previews.exchange(token, place);
      headers['set-cookie'] = previewCookie(cookie, { isSecure: hosts.isSecure, maxAgeMs });
    }
    response.writeHead(303, headers).end();
    return true;
  };

  const serveSocket = async (request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> => {
    await ready;
    const proxy = await openProxy();
    const { live, clean } = await admit(request);
    const visit = live.enter('socket', () => socket.destroy());
    socket.once('close', () => visit[Symbol.dispose]());
    if (!visit.isOpen || socket.destroyed) {
      visit[Symbol.dispose]();
      throw new CaissonError('PREVIEW_ENDED', 'This preview was ended.');
    }
    visits.set(request, live);
    request.headers = appUpgradeHeaders(request, headerOptions);
    request.url = clean;
    proxy.upgrade(request, socket, head, live);
  };

  const log = (thrown: unknown): void => {
    if (!(thrown instanceof CaissonError)) logger.error({ err: thrown }, 'a preview request failed');
  };

  return {
    covers: (host) => hosts.covers(host),
    handle(request, response) {
      serve(request, response).catch((thrown: unknown) => {
        log(thrown);
        answerRefusal(request, response, previewRefusal(toError(thrown)));
      });
    },
    upgrade(request, socket, head) {
      socket.on('error', () => undefined); // also emits 'close'
      if (!(socket instanceof Socket)) return void socket.destroy();
      serveSocket(request, socket, head).catch((thrown: unknown) => {
        log(thrown);
        writeRefusal(socket, previewRefusal(toError(thrown)));
      });
    },
  };
}

async function listeningPorts(live: LivePreview): Promise<number[]> {
  const guest = await live.guest();
  const ports = await guest.ports.list(AbortSignal.timeout(portsTimeoutMs));
  return ports.slice(0, mostPortsShown).map((each) => each.port);
}

function toError(thrown: unknown): CaissonError {
  if (thrown instanceof CaissonError) return thrown;
  return new CaissonError('INTERNAL', 'Something went wrong inside Caisson.', { cause: thrown });
}
