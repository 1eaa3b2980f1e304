// Reserves all that there is of the limit of `tokens` of the account, settles a part under another reservation, and waits
// to be killed.
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import type { UserId } from '../../../src/kernel/ids.ts';
import { userAccount } from '../../../src/controlplane/quotas/account.ts';
import { recordingLogger } from '../recording-logger.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';

const [directory, id] = process.argv.slice(2);
if (directory === undefined || id === undefined) throw new Error('Which directory, and whose account?');
const account = userAccount(id as UserId);
const storage = await openStorage(directory);
const ledger = await StoredLedger.open({
  store: storage.ledger,
  terms: { of: async () => ({ limits: { ...noLimits, tokens: 100 }, timeZone: 'UTC', agentId: null }) },
  clock: systemClock,
  logger: recordingLogger([]),
});
const first = await ledger.reserve([{ account, dimension: 'tokens', amount: 40 }], { expiresInMs: 60_000 });
await first.settle([{ account, dimension: 'tokens', amount: 30 }]);
console.log('settled');
await ledger.reserve([{ account, dimension: 'tokens', amount: 70 }], { expiresInMs: 60_000 });
console.log('reserved');
setInterval(() => undefined, 1_000);
