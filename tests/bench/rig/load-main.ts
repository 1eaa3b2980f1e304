import { createCaissonClient } from '../../../src/client/index.ts';

// Work in a sandbox, in a process of its own so that who measures is not measured. Ends when its parent says so.
const [kind = '', agentId = '', url = '', apiKey = ''] = process.argv.slice(2);
const stop = new AbortController();
process.once('disconnect', () => stop.abort());

/** As a clone or an unpacking does: 20,000 small files, one after the other, again and again. */
const manyFiles = `while :; do rm -rf many; mkdir many; python3 -c '
import os
for d in range(200):
    os.mkdir(f"many/{d}")
    for f in range(100):
        with open(f"many/{d}/{f}.txt", "w") as out: out.write("x" * 2000)
'; done`;

const works: Readonly<Record<string, () => Promise<void>>> = {
  files: () => run(manyFiles),
  output: () => run('while :; do head -c 1G /dev/zero; done'),
  async yes() {
    const { terminals } = createCaissonClient({ url, apiKey });
    const { id: terminalId } = await terminals.open.mutate({ agentId, command: ['yes'] });
    const attachment = await terminals.attach({ agentId, terminalId, signal: stop.signal });
    for await (const _chunk of attachment.output);
    await terminals.close.mutate({ agentId, terminalId });
  },
};

async function run(script: string): Promise<void> {
  const { processes } = createCaissonClient({ url, apiKey });
  const { stdout, exit } = await processes.spawn({ agentId, command: ['sh', '-c', script], signal: stop.signal });
  await stdout.pipeTo(new WritableStream()).catch(() => undefined); // it is ended by the signal
  await exit.catch(() => undefined);
}

const work = works[kind];
if (work === undefined) throw new Error(`there is no work "${kind}"`);
const working = work();
process.send?.('begun');
await working;
