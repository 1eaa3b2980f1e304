// Writes messages with events for ever into the data directory that it is given, and prints the `seq` of each last event
// once it is acknowledged.
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { aDelta, aMessage, storedAgent } from '../../contracts/store-records.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('Which directory?');
const { agents } = await openStorage(directory);
const { agent, conversation } = await storedAgent(agents);
console.log(agent.id);
for (;;) {
  const { events } = await agents.transaction(async (tx) => {
    await tx.insertMessage(aMessage(conversation));
    return await tx.appendEvents(agent.id, [aDelta('one'), aDelta('two')]);
  });
  console.log(events.at(-1)?.seq);
  await new Promise((resolve) => setImmediate(resolve)); // lets the output go
}
