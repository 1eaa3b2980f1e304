import type { ContainerStats } from 'dockerode';
import type { SandboxLoad } from '../contract/sandbox-provider.ts';

/** From what the engine saw in a second. Undefined for a container that does not run. */
export function loadFrom(stats: ContainerStats, startedAt: number): SandboxLoad | undefined {
  const { cpu_stats, precpu_stats, memory_stats, pids_stats } = stats;
  const pids = pids_stats?.current ?? 0;
  if (pids === 0) return undefined;
  const used = cpu_stats.cpu_usage.total_usage - precpu_stats.cpu_usage.total_usage;
  const ofMachine = cpu_stats.system_cpu_usage - (precpu_stats.system_cpu_usage ?? 0);
  const cores = cpu_stats.online_cpus || 1;
  // Named so by control groups of version 1 and 2.
  const parts: Readonly<Record<string, number>> = { ...memory_stats.stats };
  const cached = parts['total_inactive_file'] ?? parts['inactive_file'] ?? 0;
  return {
    cpus: ofMachine > 0 ? Math.max(0, (used / ofMachine) * cores) : 0,
    memoryBytes: Math.max(0, memory_stats.usage - cached),
    pids,
    startedAt,
  };
}
