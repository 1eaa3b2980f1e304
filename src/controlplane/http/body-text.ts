import type { IncomingMessage } from 'node:http';
import { CaissonError } from '../../kernel/errors.ts';
import { GatheredBytes } from '../../kernel/gathered-bytes.ts';

/**
 * The body of a request, as UTF-8. Takes memory by its length, however small the pieces are in which it comes. Rejects with
 * BODY_TOO_LARGE above `mostBytes`, and then leaves the rest unread; with ABORTED where its sender leaves.
 */
export function bodyText(request: IncomingMessage, mostBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const gathered = new GatheredBytes();
    const settle = (how: () => void): void => {
      request.off('data', take).off('end', end).off('error', left);
      how();
    };
    const fail = (error: CaissonError): void => settle(() => reject(error));
    const tooLarge = (): void => fail(new CaissonError('BODY_TOO_LARGE', 'The request body is too large.'));
    const left = (cause: unknown): void => fail(new CaissonError('ABORTED', 'The caller has left.', { cause }));
    const take = (piece: Buffer): void => {
      if (gathered.length + piece.length > mostBytes) tooLarge();
      else gathered.add(piece);
    };
    const end = (): void => settle(() => resolve(gathered.bytes.toString()));
    if (request.destroyed) return left(request.errored);
    if (Number(request.headers['content-length'] ?? 0) > mostBytes) return tooLarge();
    request.on('data', take).on('end', end).on('error', left);
  });
}
