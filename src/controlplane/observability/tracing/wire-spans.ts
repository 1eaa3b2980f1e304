import { constants } from 'node:http2';
import type { WireCall } from '../../../wire/wire-calls.ts';
import { endSpan, type Spans } from './spans.ts';

/** Words of the contract; all other parts of a path are ids, or names that somebody gave. */
const word = /^[a-z][a-z-]{0,20}$|^v\d$/;

/** A span of a call to a guest, until its answer begins. Those that no other span is under way for have none. */
export function traceWireCall({ method, path, stream }: WireCall, spans: Spans): void {
  if (spans.present === undefined) return;
  const template = templateOf(path);
  const span = spans.begin(`${method} ${template}`, {
    kind: 'client',
    attributes: { 'http.request.method': method, 'url.template': template, 'caisson.channel': 'inward' },
  });
  stream.once('response', ({ ':status': status = 0 }) => {
    span.setAttribute('http.response.status_code', status);
    endSpan(span, status >= 400 ? String(status) : null);
  });
  stream.once('close', () => {
    if (!span.isRecording()) return;
    const isReset = stream.rstCode !== undefined && stream.rstCode !== constants.NGHTTP2_NO_ERROR;
    endSpan(span, isReset ? 'canceled' : 'wire_lost');
  });
}

function templateOf(path: string): string {
  const [plain = ''] = path.split('?', 1);
  return plain
    .split('/')
    .map((part) => (part === '' || word.test(part) ? part : '{id}'))
    .join('/');
}
