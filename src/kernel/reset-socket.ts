import type { Socket } from 'node:net';

/**
 * Destroys a TCP connection so that the other end reads it as cut, with a reset. One whose end is just on its way to the system
 * is destroyed without: all that was said has been said, and Node leaves a socket open that it is to reset at that moment, with
 * no event 'close', and then waits for it without end when the process ends.
 *
 * Not for a socket that TLS was laid over: whether its end is on its way is known to the TLS socket, which is to be destroyed.
 */
export function resetSocket(socket: Socket): void {
  const isEnding = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
  if (isEnding || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}
