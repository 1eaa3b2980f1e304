/**
 * Plain JavaScript, to be run by Node with `-e`: GET requests at a steady rate, whatever becomes of those before. Takes a
 * JSON object: url, headers, rate (a second), seconds. Prints the latencies' p50 and p99 in milliseconds, from the moment at
 * which each request was due, how many failed, and the rate of answers.
 */
export const steadyLoadProgram = `
const http = require('node:http');
const { url, headers, rate, seconds } = JSON.parse(process.argv[1]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const one = () => new Promise((resolve) => {
  http.get(url, { headers, agent }, (response) => {
    response.on('error', () => resolve(false)).on('end', () => resolve(response.statusCode === 200)).resume();
  }).on('error', () => resolve(false));
});
const run = async (count) => {
  const times = [];
  let failed = 0;
  const pending = [];
  const from = performance.now();
  for (let next = 0; next < count; ) {
    const due = from + (next * 1000) / rate;
    if (performance.now() < due) {
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    next++;
    pending.push(one().then((ok) => { if (ok) times.push(performance.now() - due); else failed++; }));
  }
  await Promise.all(pending);
  return { times: times.sort((a, b) => a - b), failed, rate: (count * 1000) / (performance.now() - from) };
};
run(rate).then(() => run(rate * seconds)).then(({ times, failed, rate }) => {
  const at = (share) => times[Math.floor(times.length * share)] ?? null;
  console.log(JSON.stringify({ p50: at(0.5), p99: at(0.99), failed, rate }));
});
`;
