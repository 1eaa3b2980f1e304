/** Plain JavaScript, to be run by Node with `-e`: on this machine, and in a sandbox. */

/** An app: a small answer, and 100 MB at `/large`. Its port is its argument. */
export const appProgram = `
const block = Buffer.alloc(256 * 1024, 1);
require('node:http').createServer((request, response) => {
  if (request.url !== '/large') return response.end('{"hello":"world","from":"the app","n":12345}');
  response.writeHead(200, { 'content-length': 100e6 });
  let left = 100e6;
  const send = () => {
    while (left > 0) {
      const chunk = left < block.length ? block.subarray(0, left) : block;
      left -= chunk.length;
      if (!response.write(chunk)) return response.once('drain', send);
    }
    response.end();
  };
  send();
}).listen(Number(process.argv[1]), '127.0.0.1', () => console.log('listening'));
`;

/**
 * Load. Takes a JSON object: port, headers, path (default `/`), requests, concurrency: prints the latencies' p50 and p99 in milliseconds, and
 * requests a second. With \`slow\` instead: downloads \`/large\` while that many others take nothing, and prints MB/s.
 */
export const loadProgram = `
const http = require('node:http');
const { port, headers, path = '/', requests, concurrency, slow } = JSON.parse(process.argv[1]);
const agent = new http.Agent({ keepAlive: true, maxSockets: (concurrency ?? 1) + (slow ?? 0) });
const get = (path) => new Promise((resolve, reject) => {
  http.get({ host: '127.0.0.1', port, path, headers, agent }, resolve).on('error', reject);
});
const once = async (path) => {
  const response = await get(path);
  if (response.statusCode !== 200) throw new Error('status ' + response.statusCode + ' ' + (await require('node:stream/consumers').text(response)));
  let bytes = 0;
  for await (const chunk of response) bytes += chunk.length;
  return bytes;
};
const load = async () => {
  const times = [];
  let left = 0;
  const worker = async (keep) => {
    while (left-- > 0) {
      const from = performance.now();
      await once(path);
      if (keep) times.push(performance.now() - from);
    }
  };
  const round = (count, keep) => {
    left = count;
    return Promise.all(Array.from({ length: concurrency }, () => worker(keep)));
  };
  await round(Math.ceil(requests / 4), false);
  const from = performance.now();
  await round(requests, true);
  const seconds = (performance.now() - from) / 1000;
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(times.length * share)];
  return { p50: at(0.5), p99: at(0.99), rate: requests / seconds };
};
const download = async () => {
  const others = await Promise.all(Array.from({ length: slow }, () => get('/large')));
  for (const other of others) other.on('error', () => undefined);
  // Until what lies on the way to them is full: they take nothing from then on.
  if (slow > 0) await new Promise((resolve) => setTimeout(resolve, 2000));
  const from = performance.now();
  const bytes = await once('/large');
  const rate = bytes / 1e6 / ((performance.now() - from) / 1000);
  for (const other of others) other.destroy();
  return { rate };
};
(slow === undefined ? load() : download()).then((result) => {
  console.log(JSON.stringify(result));
  agent.destroy(); // it ends by itself: 'process.exit' of Node 24.21 may wait for ever for a compilation under way
});
`;
