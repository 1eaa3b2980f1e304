import type { ServerResponse } from 'node:http';

/**
 * How many times the time of a stall a reader of much is given. `readerRoom` is made in steps of more than 1 MB: by one who
 * takes 10 kB/s, in less than 5 minutes; by 5 kB/s it is not.
 */
export const readerPatience = 5;

export class ReaderStalled extends Error {
  override readonly name = 'ReaderStalled';
}

/**
 * Resolves when the reader of `response` has taken enough of what was written for more (`drain`), or all of it (`finish`), or
 * has gone. Rejects with ReaderStalled when that takes longer than `stallMs`, from when the answers before it on the same
 * connection are over. The kernel tells of room only when a third of the socket's buffer is free, of up to 4 MiB on Linux: a
 * reader who takes that slowly looks like one who takes nothing.
 */
export async function readerRoom(
  response: ServerResponse,
  stallMs: number,
  event: 'drain' | 'finish' = 'drain',
): Promise<void> {
  const isTaken = response.writableEnded && response.writableLength === 0; // 'finish' itself comes a little later
  const isThere = event === 'drain' ? !response.writableNeedDrain : isTaken;
  if (isThere || response.closed) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const giveUp = (): void => reject(new ReaderStalled(`The reader made no room for ${stallMs / 1_000} s.`));
  let stalled: NodeJS.Timeout | undefined;
  const watch = (): void => {
    // Where this process itself stood still, room may have been made unseen: look before judging.
    stalled = setTimeout(() => setImmediate(giveUp), stallMs);
  };
  if (response.socket === null) response.once('socket', watch);
  else watch();
  response.once(event, resolve).once('close', resolve);
  try {
    await promise;
  } finally {
    clearTimeout(stalled);
    response.off('socket', watch).off(event, resolve).off('close', resolve);
  }
}
