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
