import { type BigIntStats, close, closeSync, constants, openSync } from 'node:fs';

/** Linux's O_PATH, for which Node has no name: nothing is done to the file. */
const pathOnly = 0o10000000;
/** What is larger gives its space back before its successor is answered for. With those that wait, 16 MiB. */
const mostBytes = 256n * 1024n;
const mostWaiting = 64;
/** Of the four threads of Node: one is left for whoever else needs one. */
const mostClosing = 3;

const waiting: number[] = [];
let closing = 0;

/**
 * Holds a small file that is about to be replaced, until it is disposed of; then it is given up in a thread of Node's. Whoever
 * gives up the last hold of a file waits for the file system to free it: ext4 without a journal, mounted with `discard`, then
 * waits for the disk, 0.2 ms and more in which the guest would do nothing else. Undefined where there is nothing to gain.
 */
export function holdReplaced(path: Buffer, { size }: BigIntStats): Disposable | undefined {
  if (size === 0n || size > mostBytes) return undefined;
  let fd: number;
  try {
    fd = openSync(path, pathOnly | constants.O_NOFOLLOW);
  } catch {
    return undefined; // gone, or no descriptor left: then the rename frees it
  }
  return { [Symbol.dispose]: () => letGo(fd) };
}

/** At most 64 wait for their turn; above that they are closed at once. */
function letGo(fd: number): void {
  if (waiting.length === mostWaiting) closeSync(fd);
  else waiting.push(fd);
  closeNext();
}

function closeNext(): void {
  while (closing < mostClosing) {
    const fd = waiting.shift();
    if (fd === undefined) return;
    closing += 1;
    close(fd, () => {
      closing -= 1;
      closeNext();
    });
  }
}
