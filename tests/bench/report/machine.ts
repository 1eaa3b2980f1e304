import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import type Docker from 'dockerode';

/** What the figures were measured on, in one sentence. */
export async function describeMachine(docker: Docker): Promise<string> {
  const { Version: engine, KernelVersion: kernel } = await docker.version();
  const cores = cpus();
  const model = cores[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 1024 ** 3);
  return `${cores.length} cores (${model}), ${memory} GiB, Linux ${kernel}, Node ${process.versions.node}, Docker ${engine}`;
}

/** How busy the machine is by itself: the load of the last minute for each core. */
export function loadPerCore(): number {
  return (loadavg()[0] ?? 0) / cpus().length;
}

/** What a virtual machine has had of its processors since it started, in the kernel's ticks. */
export interface ProcessorTime {
  readonly wanted: number;
  /** Of that: when the machine below ran something else (`steal`). */
  readonly stolen: number;
}

export function processorTime(): ProcessorTime {
  const [all = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0, stolen = 0] = all
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { wanted: user + nice + system + interrupts + softInterrupts + stolen, stolen };
}

/** Which share of the processor time that was wanted meanwhile the machine did not get. */
export function stolenShare(before: ProcessorTime, after: ProcessorTime): number {
  return (after.stolen - before.stolen) / Math.max(1, after.wanted - before.wanted);
}
