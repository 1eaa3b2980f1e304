import type { ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Socket } from 'node:net';
import { resetSocket } from '../../kernel/reset-socket.ts';
import { endTrailer, mostPortConnections, tooManyConnections } from '../../wire/contract/ports.ts';
import { goneWith } from '../inward-call.ts';
import { connectLoopback } from './loopback.ts';

/** The connections from the control plane to servers in the sandbox. */
export class PortConnections {
  #open = 0;

  /**
   * Connects the stream to the port and answers 200. Bytes pass both ways as fast as their readers take them; each way ends
   * by itself. A side that breaks is a break for the other: what was cut never looks whole.
   * Errors, before anything is answered: PORT_NOT_LISTENING, DEADLINE_EXCEEDED, LIMIT_REACHED above 128 at once.
   */
  async connect(stream: ServerHttp2Stream, port: number): Promise<void> {
    if (this.#open >= mostPortConnections) throw tooManyConnections();
    this.#open++;
    stream.once('close', () => void this.#open--);
    const socket = await connectLoopback(port, goneWith(stream));
    if (stream.destroyed) socket.destroy();
    else join(stream, socket);
  }
}

function join(stream: ServerHttp2Stream, socket: Socket): void {
  let isWhole = false;
  stream.once('trailers', (trailers) => (isWhole = trailers[endTrailer] !== undefined));
  stream.once('end', () => {
    if (isWhole) socket.end();
    else resetSocket(socket);
  });
  stream.once('close', () => {
    if (!socket.destroyed && !(isWhole && socket.readableEnded)) resetSocket(socket);
  });
  stream.once('wantTrailers', () => {
    if (socket.readableEnded) stream.sendTrailers({ [endTrailer]: '1' });
    else stream.close(constants.NGHTTP2_CONNECT_ERROR);
  });
  socket.on('error', () => undefined); // also emits 'close'
  socket.once('close', () => {
    if (!socket.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_CONNECT_ERROR);
  });
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  stream.pipe(socket, { end: false });
  socket.pipe(stream);
}
