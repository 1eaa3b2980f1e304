import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { findProgram } from '../../../scripts/run-command.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { GuestClient } from '../../../src/wire/guest-client.ts';
import { freePort } from '../../e2e/support/control-plane-process.ts';
import { context as explain, ms, percent, type Row } from '../report/row.ts';
import { run } from '../../guest/processes/outputs.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { appProgram, loadProgram } from '../rig/preview-programs.ts';
import { median } from '../rig/statistics.ts';

const rounds = 3;
const appPort = 8400;
const loadTimeoutMs = 120_000;

const loadSchema = z.object({ p50: z.number(), p99: z.number(), rate: z.number() });
const downloadSchema = z.object({ rate: z.number() });

interface Way {
  readonly name: string;
  readonly run: (options: object) => Promise<unknown>;
}

/**
 * An app through its preview, beside the same app without us: in the sandbox by the same load in there, and on this machine
 * directly and through nginx where that is installed. The load is a process of its own everywhere.
 */
export async function previews(context: BenchContext): Promise<readonly Row[]> {
  await using undo = new AsyncDisposableStack();
  const controlPlane = undo.use(await startControlPlane(context));
  const agent = await controlPlane.client.agents.create.mutate({ name: 'previewed', wait: true });
  const guest = new GuestClient(await context.provider.connect(agentIdSchema.parse(agent.id), 'inward'));
  undo.defer(() => guest.close());
  const app = await guest.processes.attach({ command: ['node', '-e', appProgram, String(appPort)] });
  await app.output[Symbol.asyncIterator]().next();
  const made = await controlPlane.client.previews.create.mutate({
    agentId: agent.id,
    port: appPort,
    access: 'shared',
  });
  const { host, port } = new URL(made.origin);
  const headers = { host, cookie: await cookieOf(made.url) };

  const hostPort = await freePort();
  const hostApp = spawn(process.execPath, ['-e', appProgram, String(hostPort)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  undo.defer(() => end(hostApp));
  await once(hostApp.stdout, 'data');
  const nginxPort = await startNginx(context, undo, hostPort);

  const preview: Way = { name: 'preview', run: (options) => loadHere({ port: Number(port), headers, ...options }) };
  const inside: Way = { name: 'in the sandbox', run: (options) => loadThere(guest, { port: appPort, ...options }) };
  const direct: Way = { name: 'on the host', run: (options) => loadHere({ port: hostPort, ...options }) };
  const nginx: Way[] =
    nginxPort === undefined
      ? []
      : [{ name: 'nginx on the host', run: (options) => loadHere({ port: nginxPort, ...options }) }];
  return [
    ...(await latencyRows(preview, [inside, direct, ...nginx])),
    ...(await downloadRows(preview, [inside, direct, ...nginx])),
  ];
}

async function latencyRows(preview: Way, peers: readonly Way[]): Promise<readonly Row[]> {
  const alone = await measure([preview, ...peers], { requests: 1_000, concurrency: 1 });
  const many = await measure([preview, ...peers], { requests: 4_000, concurrency: 50 });
  const [ours, inside] = [alone(preview), alone(peers[0] ?? preview)];
  const overhead = ours.p50 - inside.p50;
  const list = (show: (way: Way) => string): string => peers.map((way) => `${show(way)} (${way.name})`).join(', ');
  return [
    {
      what: 'a request through a preview, p50',
      ours: ms(ours.p50),
      floor: list((way) => ms(alone(way).p50)),
      comparison: `+${ms(overhead)}`,
      target: '≤ +1.5 ms',
      met: overhead <= 1.5,
    },
    explain({
      what: 'the same, p99',
      ours: ms(ours.p99),
      floor: list((way) => ms(alone(way).p99)),
      comparison: `+${ms(ours.p99 - inside.p99)}`,
    }),
    explain({
      what: '50 requests at a time through a preview',
      ours: `${many(preview).rate.toFixed(0)} a second, p50 ${ms(many(preview).p50)}`,
      floor: list((way) => `${many(way).rate.toFixed(0)} a second, p50 ${ms(many(way).p50)}`),
      comparison: percent(many(preview).rate / many(peers[0] ?? preview).rate),
    }),
  ];
}

async function downloadRows(preview: Way, peers: readonly Way[]): Promise<readonly Row[]> {
  const rates = new Map<Way, number[]>();
  const crowded: number[] = [];
  const download = async (way: Way, slow: number): Promise<number> =>
    downloadSchema.parse(await way.run({ slow })).rate;
  for (let round = 0; round < rounds; round++) {
    for (const way of [preview, ...peers]) rates.set(way, [...(rates.get(way) ?? []), await download(way, 0)]);
    crowded.push(await download(preview, 16));
  }
  const rate = (way: Way): number => median(rates.get(way) ?? []);
  const share = median(crowded) / rate(preview);
  return [
    {
      what: '100 MB through a preview, median',
      ours: `${rate(preview).toFixed(0)} MB/s`,
      floor: peers.map((way) => `${rate(way).toFixed(0)} MB/s (${way.name})`).join(', '),
      comparison: percent(rate(preview) / rate(peers[0] ?? preview)),
      target: '≥ 80 MB/s',
      met: rate(preview) >= 80,
    },
    {
      what: 'the same beside 16 readers that take nothing',
      ours: `${median(crowded).toFixed(0)} MB/s`,
      floor: `${rate(preview).toFixed(0)} MB/s (without them)`,
      comparison: percent(share),
      target: '≥ 80 %',
      met: share >= 0.8,
    },
  ];
}

/** In turn, so that what else the machine does falls on all alike. */
async function measure(ways: readonly Way[], options: object): Promise<(way: Way) => z.infer<typeof loadSchema>> {
  const results = new Map<Way, z.infer<typeof loadSchema>[]>();
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      results.set(way, [...(results.get(way) ?? []), loadSchema.parse(await way.run(options))]);
    }
  }
  return (way) => {
    const of = (field: 'p50' | 'p99' | 'rate'): number => median((results.get(way) ?? []).map((each) => each[field]));
    return { p50: of('p50'), p99: of('p99'), rate: of('rate') };
  };
}

async function loadHere(options: object): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', loadProgram, JSON.stringify(options)], {
    timeout: loadTimeoutMs,
  });
  return JSON.parse(stdout);
}

async function loadThere(guest: GuestClient, options: object): Promise<unknown> {
  const { exitCode, output, stderr } = await run(guest, ['node', '-e', loadProgram, JSON.stringify(options)]);
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(output);
}

async function cookieOf(url: string): Promise<string> {
  const { host, port, pathname, search } = new URL(url);
  const asked = request({ host: '127.0.0.1', port, path: pathname + search, headers: { host } }).end();
  const [answer] = (await once(asked, 'response')) as [{ headers: Record<string, string[]> }];
  return answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
}

/** Its port; undefined where it is not installed. */
async function startNginx(
  context: BenchContext,
  undo: AsyncDisposableStack,
  upstream: number,
): Promise<number | undefined> {
  const program = findProgram('nginx') ?? findProgram('/usr/sbin/nginx');
  if (program === undefined) return undefined;
  const directory = await context.directory('nginx');
  const port = await freePort();
  const configuration = join(directory, 'nginx.conf');
  await writeFile(
    configuration,
    `daemon off; pid ${directory}/pid; error_log ${directory}/error.log; worker_processes 1; events { worker_connections 512; }
http { access_log off; keepalive_requests 1000000; client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory}; uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
  upstream app { server 127.0.0.1:${upstream}; keepalive 64; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }
`,
  );
  const child = spawn(program, ['-c', configuration, '-p', directory], { stdio: 'ignore' });
  undo.defer(() => end(child));
  for (;;) {
    const asked = request({ host: '127.0.0.1', port }).end();
    const isUp = await once(asked, 'response').then(
      () => true,
      () => child.exitCode !== null,
    );
    asked.destroy();
    if (child.exitCode !== null) return undefined;
    if (isUp) return port;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill();
  await once(child, 'exit');
}
