import './node-20.ts';
import './uncompiled-schemas.ts';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createHarness } from '../acp/create-harness.ts';
import { systemClock } from '../kernel/clock.ts';
import { errorText } from '../kernel/errors.ts';
import { egressProxy } from '../wire/contract/egress.ts';
import { guestEnvironment, guestRunDirectory, modelEndpoint } from '../wire/contract/guest-api.ts';
import { sandboxRoots } from '../wire/contract/sandbox-roots.ts';
import { toolEnvironment } from './egress/tool-environment.ts';
import { startGuest } from './guest.ts';
import { createJsonLogger } from './json-logger.ts';

/** The harness may take this long to end after SIGTERM; the process is gone within 2 s. */
const stopTimeoutMs = 1_500;

process.stderr.on('error', () => undefined); // a log that nobody takes must not end the guest
const logger = createJsonLogger((line) => process.stderr.write(line));

process.on('uncaughtException', (thrown) => {
  logger.error({ error: errorText(thrown), stack: thrown.stack }, 'the guest fails'); // written when this returns
  // Not `process.exit`: Node 24 joins V8's workers there, of which one may wait, for ever, for a collection of this thread.
  process.kill(process.pid, 'SIGKILL');
});

const agentId = process.env[guestEnvironment.agentId];
const runDirectory = process.env[guestEnvironment.runDirectory] ?? guestRunDirectory;
const modelPort = portFrom(guestEnvironment.modelPort, modelEndpoint.port);
const proxyPorts = {
  http: portFrom(guestEnvironment.httpProxyPort, egressProxy.httpPort),
  socks: portFrom(guestEnvironment.socksProxyPort, egressProxy.socksPort),
};
if (agentId === undefined || agentId === '') throw new Error(`${guestEnvironment.agentId} is not set.`);
// For all that is started here: the harness, processes and terminals.
Object.assign(process.env, toolEnvironment({ runDirectory, httpProxyPort: proxyPorts.http }));

function portFrom(name: string, usual: number): number {
  const port = Number(process.env[name] ?? usual);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`${name} is not a port.`);
  return port;
}

/** The guest's own settings are no business of the harness. */
function harnessEnvironment(): Record<string, string> {
  const own = new Set<string>(Object.values(guestEnvironment));
  const entries = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries.filter(([name]) => !own.has(name)));
}

async function stop(): Promise<void> {
  setTimeout(() => process.exit(0), stopTimeoutMs);
  try {
    await (await starting).stop();
  } catch (thrown) {
    logger.error({ error: errorText(thrown) }, 'the guest did not stop in good order');
  }
  process.exit(0);
}
process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());

const starting = startGuest({
  agentId,
  runDirectory,
  modelPort,
  proxyPorts,
  roots: sandboxRoots,
  watchPorts: true,
  version: () =>
    createHash('sha256')
      .update(readFileSync(process.argv[1] ?? ''))
      .digest('hex'),
  createHarness: (sink) =>
    createHarness({
      profile: process.env[guestEnvironment.harness] ?? 'codex',
      model: process.env[guestEnvironment.model] ?? null,
      environment: harnessEnvironment(),
      sink,
      clock: systemClock,
      logger,
    }),
  clock: systemClock,
  logger,
});

void starting.then(({ incarnation }) => logger.info({ agentId, incarnation }, 'the guest is up'));
