/**
 * Stands in for the guest where a test is about the byte stream: sends back on both sockets what it receives, with
 * back-pressure. Runs on its own, in a container or as a process.
 */
import { createServer } from 'node:net';
import process from 'node:process';

const directory = process.env['CAISSON_RUN_DIR'] ?? '/run/caisson';

for (const channel of ['inward', 'outward']) {
  // Half-open, so that what is still on its way back arrives after the other side has ended.
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy()); // the other side is gone; so is the echo
    socket.pipe(socket);
  }).listen(`${directory}/${channel}.sock`);
}
