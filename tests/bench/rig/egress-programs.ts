/** Plain JavaScript, to be run by Node with `-e`: on this machine, and in a sandbox. */

/**
 * A host: it answers the TLS hello that a connection begins with by one of its own. Behind that, `E` is answered by `e`, `D` by
 * 200 MB, and `U` by `u` once 200 MB have come.
 */
export const hostProgram = `
const size = 200e6;
const block = Buffer.alloc(256 * 1024, 1);
const answer = Buffer.concat([Buffer.from([0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3]), Buffer.alloc(32, 1), Buffer.from([0, 0x13, 1, 0])]);
require('node:net').createServer({ noDelay: true }, (socket) => {
  let head = Buffer.alloc(0);
  let uploaded = -1;
  socket.on('error', () => undefined);
  const send = (left) => {
    while (left > 0 && !socket.destroyed) {
      const chunk = left < block.length ? block.subarray(0, left) : block;
      left -= chunk.length;
      if (!socket.write(chunk)) return socket.once('drain', () => send(left));
    }
  };
  const command = (bytes) => {
    const name = String.fromCharCode(bytes[0]);
    if (name === 'E') return bytes.forEach(() => socket.write('e'));
    if (name === 'D') return send(size);
    uploaded = bytes.length - 1;
  };
  socket.on('data', (chunk) => {
    if (uploaded >= 0) {
      uploaded += chunk.length;
      if (uploaded >= size) { uploaded = -1; socket.write('u'); }
      return;
    }
    if (head === undefined) return command(chunk);
    head = Buffer.concat([head, chunk]);
    if (head.length < 5 || head.length < 5 + head.readUInt16BE(3)) return;
    const rest = head.subarray(5 + head.readUInt16BE(3));
    head = undefined;
    socket.write(answer);
    if (rest.length > 0) command(rest);
  });
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`;

/**
 * Takes a JSON object: target, the host's port on 127.0.0.1; proxy, the port of a proxy there, or null; and what to do.
 * \`setUps\`: so many connections one after the other, each until the host has answered its hello: prints p50 and p99 in milliseconds.
 * \`bytes\`: 'down' or 'up': prints MB/s. \`hold\`: opens so many connections, prints how many answered, and then reads lines:
 * \`again\` lets them go and opens as many anew, the end lets them go.
 */
export const programProgram = `
const net = require('node:net');
const { once } = require('node:events');
const { target, proxy, setUps, bytes, hold } = JSON.parse(process.argv[1]);
const body = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(33), Buffer.from([0, 2, 0x13, 1, 1, 0, 0, 204, 0, 21, 0, 200]), Buffer.alloc(200)]);
body[34] = 0;
const message = Buffer.concat([Buffer.from([1, 0, 0, body.length]), body]);
const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 0, message.length]), message]);
const open = async (tries = 200) => {
  const socket = net.connect({ port: proxy ?? target, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (proxy !== null) {
    socket.write('CONNECT 127.0.0.1:' + target + ' HTTP/1.1\\r\\nHost: 127.0.0.1:' + target + '\\r\\n\\r\\n');
    const [answer] = await once(socket, 'data');
    // Those that were let go may still be on their way out.
    if (/ 429 /.test(answer.toString()) && tries > 0) {
      socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
      return open(tries - 1);
    }
    if (!/^HTTP\\/1\\.[01] 200/.test(answer.toString())) throw new Error('refused: ' + answer);
  }
  socket.write(hello);
  await once(socket, 'data');
  return socket;
};
const echo = async (socket) => {
  socket.write('E');
  await once(socket, 'data');
};
const all = async (count) => {
  const sockets = [];
  for (let from = 0; from < count; from += 50) {
    const opened = await Promise.all(Array.from({ length: Math.min(50, count - from) }, () => open()));
    await Promise.all(opened.map(echo));
    sockets.push(...opened);
  }
  return sockets;
};
const work = {
  async setUps() {
    const times = [];
    for (let n = 0; n < setUps * 1.25; n++) {
      const from = performance.now();
      const socket = await open();
      if (n >= setUps / 4) times.push(performance.now() - from);
      socket.destroy();
    }
    times.sort((a, b) => a - b);
    return { p50: times[Math.floor(times.length / 2)], p99: times[Math.floor(times.length * 0.99)] };
  },
  async bytes() {
    const socket = await open();
    await echo(socket);
    const from = performance.now();
    if (bytes === 'down') {
      socket.write('D');
      let left = 200e6;
      for await (const chunk of socket) if ((left -= chunk.length) <= 0) break;
    } else {
      socket.write('U');
      const block = Buffer.alloc(256 * 1024);
      for (let left = 200e6; left > 0; left -= block.length) if (!socket.write(block)) await once(socket, 'drain');
      await once(socket, 'data');
    }
    const rate = 200 / ((performance.now() - from) / 1000);
    socket.destroy();
    return { rate };
  },
  async hold() {
    let sockets = await all(hold);
    console.log(JSON.stringify({ open: sockets.length }));
    for await (const line of require('node:readline').createInterface({ input: process.stdin })) {
      for (const socket of sockets) socket.destroy();
      sockets = await all(hold);
      console.log(JSON.stringify({ open: sockets.length }));
    }
    for (const socket of sockets) socket.destroy();
  },
};
const name = setUps !== undefined ? 'setUps' : bytes !== undefined ? 'bytes' : 'hold';
work[name]().then((result) => { if (result) console.log(JSON.stringify(result)); }, (error) => { console.error(error); process.exitCode = 1; });
`;
