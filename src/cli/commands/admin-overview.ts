import { Command } from 'commander';
import type { SystemOverview } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { printable } from '../output/printable.ts';
import { duration } from '../output/relative-time.ts';
import { stdout, writeJson } from '../output/sink.ts';
import type { Style } from '../output/style.ts';
import { record } from '../output/table.ts';

/** From this share on memory is shown as nearly full, and with less than the rest of it free a disk. */
const nearShare = 0.9;

export function adminOverviewCommand(): Command {
  return new Command('overview')
    .description('Show how the machine, the engine and the control plane are.')
    .addOption(jsonOption('it'))
    .action(overview);
}

async function overview({ json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const shown = await client.admin.overview.query();
  if (json) await writeJson(shown);
  else await stdout.write(record(entriesOf(shown, stdout.style), stdout.style, stdout.columns));
}

function entriesOf(shown: SystemOverview, style: Style): (readonly [string, string])[] {
  const { provider, machine, disk, sandboxes, runs, open } = shown;
  const engine = printable(`${provider.name}, ${provider.description}`);
  const { freeBytes, totalBytes } = machine.memory;
  const [load = 0] = machine.load;
  const loadText = `${machine.load.map((each) => each.toFixed(2)).join(', ')} on ${machine.cpus} CPUs`;
  const diskText = ({ freeBytes: free, totalBytes: total, inodes }: SystemOverview['disk']['data']): string => {
    const isOutOfInodes = inodes !== null && inodes.free * total < disk.reserveBytes * inodes.total;
    const text = `${byteSize(free)} free of ${byteSize(total)}${isOutOfInodes ? `, ${inodes.free} inodes of ${inodes.total}` : ''}`;
    if (free < disk.reserveBytes || isOutOfInodes)
      return style('red', `${text}: less than the reserve, no sandbox starts`);
    return free < total * (1 - nearShare) ? style('yellow', text) : text;
  };
  const spent = ['full', 'over', 'unmeasured'].reduce((sum, state) => sum + (disk.states[state] ?? 0), 0);
  return [
    ['version', `${shown.version} on Node ${shown.node.slice(1)}`],
    ['up', duration(shown.uptimeMs)],
    ['engine', provider.available ? engine : style('red', `does not answer: ${engine}`)],
    ['load', load > machine.cpus * 2 ? style('yellow', loadText) : loadText],
    [
      'memory',
      `${filled(totalBytes - freeBytes, totalBytes, style)}, ${byteSize(machine.processBytes)} the control plane`,
    ],
    ['disk of the data', diskText(disk.data)],
    ['disk of sandboxes', disk.sandboxes === null ? 'not known' : diskText(disk.sandboxes)],
    ['reserve', disk.reserveBytes === 0 ? 'none' : byteSize(disk.reserveBytes)],
    ['agents', `${shown.agents}, ${byteSize(disk.agentsBytes)}${spent === 0 ? '' : style('red', `, ${spent} full`)}`],
    ['sandboxes', counts(sandboxes)],
    ['runs', counts(runs)],
    ['open', counts(open)],
    ['egress that waits', String(shown.pendingEgress)],
  ];
}

/** `12 GiB of 24 GiB, 50 %`. */
function filled(used: number, total: number, style: Style): string {
  const share = total === 0 ? 0 : used / total;
  const text = `${byteSize(used)} of ${byteSize(total)}, ${Math.round(share * 100)} %`;
  return share >= nearShare ? style('yellow', text) : text;
}

/** `2 running, 1 stopped`, `1 call`. */
function counts(of: Readonly<Record<string, number>>): string {
  const some = Object.entries(of).filter(([, count]) => count > 0);
  return some.length === 0 ? 'none' : some.map(([name, count]) => `${count} ${named(name, count)}`).join(', ');
}

function named(name: string, count: number): string {
  const text = name.replaceAll('_', ' ');
  return count === 1 ? text.replace(/s$/, '') : text;
}
