import { expect, test } from 'vitest';
import { endToEndHeaders } from '../../src/wire/end-to-end-headers.ts';

test('what Connection names goes, but never the length of a body that is passed on', () => {
  const kept = endToEndHeaders({
    ':path': '/',
    connection: 'X-Hop, Content-Length , content-type, transfer-encoding',
    'x-hop': '1',
    'content-length': '5',
    'content-type': 'text/plain',
    'transfer-encoding': 'chunked',
    trailer: 'x-end',
    te: 'trailers',
    host: 'app',
    'x-own': ['a', 'b'],
  });
  expect(kept).toEqual({ 'content-length': '5', 'x-own': ['a', 'b'] });
});
