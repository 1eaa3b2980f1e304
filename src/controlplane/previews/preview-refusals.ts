import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { errorTable } from '../../kernel/error-table.ts';
import { STATUS_CODES } from '../../kernel/node-http.ts';
import { pageHeader, pagePolicy, type PreviewPage, renderPage } from './preview-page.ts';

/** An answer of ours, in place of the app's. */
export interface PreviewRefusal {
  readonly error: CaissonError;
  readonly page: PreviewPage;
}

/** What kept a request from its app; `ports` are those that do listen, where that is of help. */
export function previewRefusal(thrown: unknown, port?: number, ports?: readonly number[]): PreviewRefusal {
  const error = thrown instanceof CaissonError ? thrown : appFault(thrown);
  const { code, message } = error;
  const page = (title: string, text: readonly string[], retries = false): PreviewRefusal => ({
    error,
    page: { status: statusOf(code), title, text, retries, note: code },
  });
  const app = port === undefined ? 'the app' : `the app on port ${port}`;
  switch (code) {
    case 'PREVIEW_FORBIDDEN':
      return page('This address needs a preview link', [
        `${message} Ask whoever works with the agent for one.`,
        'A link is made by `caisson preview <agent> <port>`.',
      ]);
    case 'PREVIEW_ENDED':
      return page('This preview is over', [message, 'Ask for a new link. `caisson preview <agent> <port>` makes one.']);
    case 'PORT_NOT_LISTENING':
      return page(
        `Nothing listens on port ${port}`,
        [
          'The sandbox runs, but the app does not. Start it, or ask the agent to; this page opens it as soon as it is there.',
          ports === undefined || ports.length === 0
            ? 'No other port of the sandbox listens either.'
            : `Listening now: ${ports.map((each) => `\`${each}\``).join(' ')}`,
        ],
        true,
      );
    case 'SANDBOX_NOT_RUNNING':
      return page(
        'The sandbox is not running',
        [
          `With it, ${app} has stopped. A visit does not start it.`,
          'Send the agent a message, or run something in its sandbox; then start the app again.',
        ],
        true,
      );
    case 'WIRE_LOST':
    case 'DRAINING':
    case 'PROVIDER_UNAVAILABLE':
      return page('The sandbox cannot be reached just now', [message], true);
    case 'DEADLINE_EXCEEDED':
      return page('The app does not answer', [message]);
    case 'LIMIT_REACHED':
      return page('Too much at once', [`${message} ${error.hint}`], true);
    case 'GUEST_PROTOCOL':
      return page('The app did not answer in HTTP', [message]);
    default:
      return page('This did not work', [`${message} ${error.hint}`]);
  }
}

/** As a page for who wants one, as JSON for others. */
export function answerRefusal(request: IncomingMessage, response: ServerResponse, refusal: PreviewRefusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { error, page } = refusal;
  const wantsPage = /\btext\/html\b/.test(request.headers.accept ?? '');
  const text = wantsPage ? renderPage(page) : `${JSON.stringify({ error })}\n`;
  response.writeHead(page.status, {
    'content-type': wantsPage ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'content-security-policy': pagePolicy,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    [pageHeader]: '1',
    ...(page.retries ? { 'retry-after': '3' } : {}),
    // What is left of a body has no reader.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** The same for a request to become a WebSocket. Closes the connection. */
export function writeRefusal(socket: Socket, { error, page }: PreviewRefusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const text = `${JSON.stringify({ error })}\n`;
  const head = [
    `HTTP/1.1 ${page.status} ${STATUS_CODES[page.status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(text)}`,
    'cache-control: no-store',
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`);
  socket.destroySoon(); // whether or not the visitor closes its half
}

function statusOf(code: CaissonError['code']): number {
  if (code === 'DEADLINE_EXCEEDED') return 504;
  if (code === 'LIMIT_REACHED') return 503;
  return errorTable[code].http;
}

/** What went wrong between us and the app, by the code of Node's HTTP client. */
function appFault(thrown: unknown): CaissonError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const what = code.startsWith('HPE_')
    ? 'What it sent is no HTTP/1.1. Perhaps it wants HTTPS, or speaks another protocol.'
    : `It closed the connection: ${errorText(thrown)}.`;
  return new CaissonError('GUEST_PROTOCOL', what, { hint: "Look at the app's own log.", cause: thrown });
}
