/**
 * Stands in for the guest where a test is about the byte stream: sends back on both sockets what it receives, with
 * back-pressure. A third socket, `shell.sock`, takes a shell command, runs it in the guest's directory, and answers
 * with JSON, `{ code, stdout }`. Runs on its own, in a container or as a process.
 */
import { execFile } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import process from 'node:process';
import { text } from 'node:stream/consumers';

const directory = process.env['CAISSON_RUN_DIR'] ?? '/run/caisson';

// Half-open, so that what is still on its way back arrives after the other side has ended.
function listen(name: string, serve: (socket: Socket) => void): void {
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy()); // the other side is gone
    serve(socket);
  }).listen(`${directory}/${name}.sock`);
}

listen('inward', (socket) => socket.pipe(socket));
listen('outward', (socket) => socket.pipe(socket));
listen('shell', (socket) => void answer(socket));

async function answer(socket: Socket): Promise<void> {
  execFile('sh', ['-c', await text(socket)], (error, stdout) => {
    socket.end(JSON.stringify({ code: error ? (error.code ?? -1) : 0, stdout }));
  });
}
