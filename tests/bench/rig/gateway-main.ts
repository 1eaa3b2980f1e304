import { createServer } from 'node:net';
import { join } from 'node:path';
import { tuneGarbageCollection } from '../../../src/cli/garbage-collection.ts';
import { createModelGateway } from '../../../src/controlplane/model-gateway/model-gateway.ts';
import { LedgerBudget } from '../../../src/controlplane/model-gateway/ledger-budget.ts';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { serveOutward } from '../../../src/wire/serve-outward.ts';
import { aRun, storedAgent } from '../../contracts/store-records.ts';

/**
 * The model gateway in a process of its own, with the store, the wire and the flags of a control plane. Each connection to its socket
 * is the wire of another agent, with a run under way in the session `session`. Arguments: a folder, the URL of the service. Any message
 * is answered with what the gateway itself took until each answer began, in milliseconds, of the calls that have ended since the last one.
 */
const [directory = '', modelUrl = ''] = process.argv.slice(2);
const storage = await openStorage(directory);
// A limit that nobody reaches, so that it is compared with.
const terms = {
  of: async () => ({ limits: { ...noLimits, tokens: 1e12, cost: 1e15 }, timeZone: 'UTC', agentId: null }),
};
const ledger = await StoredLedger.open({ store: storage.ledger, terms, clock: systemClock, logger: silentLogger });
let overheads: number[] = [];
const gateway = createModelGateway({
  routes: {
    upstreams: [{ name: 'main', baseUrl: modelUrl, apiKey: 'sk-bench', keyHeader: 'bearer', models: ['*'] }],
    aliases: {},
    allowed: {},
  },
  callers: storage.modelCallers,
  budget: new LedgerBudget({ ledger, clock: systemClock, logger: silentLogger }),
  usage: storage.modelUsage,
  clock: systemClock,
  logger: silentLogger,
  onCall: ({ overheadMs }) => {
    if (overheadMs !== null) overheads.push(overheadMs);
  },
});
process.on('message', () => {
  process.send?.(overheads);
  overheads = [];
});
const owner = await storage.identities.insertUser({
  id: newUserId(),
  name: 'bench',
  role: 'member',
  createdAt: 0,
  disabledAt: null,
});
const server = createServer((socket) => {
  socket.pause();
  void storedAgent(storage.agents, { ownerId: owner.id }).then(async ({ agent, conversation }) => {
    const run = aRun(conversation);
    await storage.agents.transaction(async (tx) => {
      await tx.setConversationSession(conversation.id, 'session');
      await tx.insertRun(run);
      await tx.moveRun(run.id, 'queued', { state: 'starting', incarnation: null });
    });
    serveOutward(socket, (stream, headers) => gateway.handle(agent.id, stream, headers), {
      onHandlerError: (thrown) => process.stderr.write(`${String(thrown)}\n`),
    });
  });
});
tuneGarbageCollection();
server.listen(join(directory, 'outward.sock'), () => process.send?.('listening'));
process.once('disconnect', () => process.exit(0));
