import type { VolumeInspectInfo } from 'dockerode';
import { deadline } from '../../kernel/deadline.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { diskSpaceAt } from '../contract/disk-space.ts';
import type { DiskSpace, DiskUse } from '../contract/sandbox-provider.ts';
import { deletedBytes } from './deleted-files.ts';
import type { Engine } from './engine.ts';
import { bytesOf, walk, walkFromHost } from './host-walk.ts';
import { label } from './labels.ts';

const longestWalkMs = 60_000;

const nothingThere: DiskUse = { method: 'nothing there', usedBytes: 0 };

/** The container that measures, beside that of the sandbox. */
export const measurerName = (agentId: AgentId): string => `${agentId}-disk`;

interface Measuring {
  readonly agentId: AgentId;
  /** Whether this process may be on the engine's machine, and looks at its files directly. */
  readonly isLocal: boolean;
  /** Runs its work while nothing else changes the agent's sandbox. */
  readonly betweenChanges: <T>(work: () => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal | undefined;
}

/**
 * What the volumes of an agent take. The engine has no limits for volumes (a quota of the file system under it, where there
 * is one, is not its default), so they are walked: by this process where it is root on the engine's machine, which also
 * sees files that were deleted and are still held; else by a container of its own that sees the volumes, read-only, and
 * nothing else. The guest is not asked: whatever runs in the sandbox could answer in its place.
 */
export async function measureVolumes(engine: Engine, measuring: Measuring): Promise<DiskUse> {
  const { agentId, isLocal, signal } = measuring;
  using limit = deadline(longestWalkMs, `Measuring the disk of ${agentId}`, signal);
  const volumes = await engine.listVolumes(agentId);
  if (volumes.length === 0) return nothingThere;
  if (isLocal && process.getuid?.() === 0) {
    const paths = volumes.map(({ Mountpoint }) => Mountpoint);
    const walked = await walkFromHost(paths, limit.signal);
    if (walked !== undefined) {
      const container = await engine.inspectOwn(agentId);
      const { Pid: pid = 0 } = container?.State ?? {};
      const held =
        container === undefined || pid === 0
          ? 0
          : await deletedBytes({ containerId: container.Id, pid, paths }, limit.signal);
      return { method: 'walk on the host', usedBytes: walked + held };
    }
  }
  return await walkInContainer(engine, { ...measuring, signal: limit.signal });
}

async function walkInContainer(
  engine: Engine,
  { agentId, betweenChanges, signal }: Measuring & { readonly signal: AbortSignal },
): Promise<DiskUse> {
  const name = measurerName(agentId);
  try {
    // The engine makes volumes anew that a container names and that were removed meanwhile. Those of one that stands stay.
    const folders = await betweenChanges(async () => {
      const volumes = await engine.listVolumes(agentId);
      if (volumes.length > 0) await makeMeasurer(engine, agentId, volumes);
      return volumes.length;
    });
    if (folders === 0) return nothingThere;
    const { exitCode, stdout } = await engine.runToEnd(name, signal);
    const usedBytes = bytesOf(stdout, folders);
    if (usedBytes !== undefined) return { method: 'walk in a container', usedBytes };
    throw new CaissonError('PROVIDER_UNAVAILABLE', `The disk of ${agentId} could not be measured (exit ${exitCode}).`);
  } finally {
    await engine.removeContainer(name);
  }
}

/** What an earlier measurement left under its name is removed first. */
async function makeMeasurer(engine: Engine, agentId: AgentId, volumes: readonly VolumeInspectInfo[]): Promise<void> {
  const name = measurerName(agentId);
  const image = (await engine.inspectOwn(agentId))?.Image ?? volumes[0]?.Labels[label.image] ?? '';
  await engine.removeContainer(name);
  await engine.create({
    name,
    Image: image,
    Entrypoint: ['sh', '-c', walk, 'sh'],
    Cmd: volumes.map((_, index) => `/measured/${index}`),
    User: '0:0',
    Labels: { [label.measurer]: engine.instance },
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      CapAdd: ['DAC_READ_SEARCH'], // folders that their owner has closed count too
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: 16,
      Memory: 1024 ** 3,
      CpuShares: 2, // behind everything else
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
      Mounts: volumes.map(({ Name, Labels }, index) => ({
        Type: 'volume',
        Source: Name,
        Target: `/measured/${index}`,
        ReadOnly: true,
        // If another process removed it just now, the engine makes it anew: by its labels it is found, and removed again.
        VolumeOptions: { NoCopy: true, Labels, DriverConfig: { Name: 'local', Options: {} } },
      })),
    },
  });
}

/** Of the disk that the engine keeps volumes on, where that is one of this machine's. */
export async function engineSpace(engine: Engine): Promise<DiskSpace | undefined> {
  const root = await engine.rootDirectory();
  if (root === '') return undefined;
  try {
    return await diskSpaceAt(root);
  } catch {
    return undefined; // it is on another machine, or not for us to see
  }
}
