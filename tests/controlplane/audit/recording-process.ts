// Opens the audit of the data directory that it is given, prints `ready`, and then for ever begins calls, and prints the name
// of each when its record was promised. Every other call never ends.
import { openAudit } from '../../../src/controlplane/audit/open-audit.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';

const [directory] = process.argv.slice(2);
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
for (let each = 0; ; each++) {
  const call = { action: `call-${each}`, ...who, targets: [], details: {} };
  const entry = await audit.trail.begin(call);
  console.log(`begun ${call.action}`);
  if (each % 2 === 1) continue;
  await entry.end({ outcome: 'ok' });
  console.log(`told ${call.action}`);
}
