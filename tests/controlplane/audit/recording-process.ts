// Opens the audit of the data directory that it is given, prints `ready`, and then for ever begins calls, and prints the name
// of each when its record was promised. Every other call never ends. With `in-sandbox` the calls act in sandboxes: ten of
// them, of which the even ones end; then it waits until that is written, prints `written`, and goes on for ever.
import { openAudit } from '../../../src/controlplane/audit/open-audit.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { until } from '../../until.ts';

const [directory, where = 'stored'] = process.argv.slice(2);
if (directory === undefined) throw new Error('Which directory?');
const storage = await openStorage(directory);
const audit = await openAudit({
  store: storage.audit,
  flushed: () => storage.flushed(),
  keepMs: 365 * 86_400_000,
  clock: systemClock,
  logger: silentLogger,
});
console.log('ready');
const who = { userId: null, userName: null, keyId: null, agentId: null, address: null, requestId: null };
const callOf = (each: number) => ({ action: `call-${each}`, ...who, targets: [], details: {} });
if (where === 'in-sandbox') {
  for (let each = 0; each < 10; each++) {
    const entry = await audit.trail.beginInSandbox(callOf(each));
    if (each % 2 === 0) entry.end({ outcome: 'ok' });
  }
  // By itself: nothing asks for it.
  await until('all is written', async () => {
    const written = await storage.audit.readLinks(0, 10);
    return written.length === 5 && (await storage.audit.listOpen()).length === 5;
  });
  console.log('written');
  await new Promise(() => setInterval(() => undefined, 1_000));
}
for (let each = 0; ; each++) {
  const call = callOf(each);
  const entry = await audit.trail.begin(call);
  console.log(`begun ${call.action}`);
  if (each % 2 === 1) continue;
  await entry.end({ outcome: 'ok' });
  console.log(`told ${call.action}`);
}
