import { isPart, parts } from './parts/index.ts';
import { openBenchContext } from './rig/bench-context.ts';
import type { PartMessage } from './run-part.ts';

// One part of the benchmark. Argument: its name.
const [name = ''] = process.argv.slice(2);
const tell = (message: PartMessage): void => void process.send?.(message);
if (!isPart(name)) throw new Error(`there is no part "${name}"`);
{
  await using context = await openBenchContext((line) => tell({ log: line }));
  tell({ rows: await parts[name](context) });
}
process.disconnect();
