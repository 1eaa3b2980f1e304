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

/** The container that measures, beside that of the sandbox. */
export const measurerName = (agentId: AgentId): string => `${agentId}-disk`;

interface Measuring {
  readonly agentId: AgentId;
  /** Whether this process may be on the engine's machine, and looks at its files directly. */
  readonly isLocal: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * What the volumes of an agent take. The engine has no limits for volumes (a quota of the file system under it, where there
 * is one, is not its default), so they are walked: by this process where it is root on the engine's machine, which also
 * sees files that were deleted and are still held; else by a container of its own that sees the volumes, read-only, and
 * nothing else. The guest is not asked: whatever runs in the sandbox could answer in its place.
 */
export async function measureVolumes(engine: Engine, { agentId, isLocal, signal }: Measuring): Promise<DiskUse> {
  using limit = deadline(longestWalkMs, `Measuring the disk of ${agentId}`, signal);
  const volumes = await engine.listVolumes(agentId);
  if (volumes.length === 0) return { method: 'nothing there', usedBytes: 0 };
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
  return { method: 'walk in a container', usedBytes: await walkInContainer(engine, agentId, volumes, limit.signal) };
}

async function walkInContainer(
  engine: Engine,
  agentId: AgentId,
  volumes: readonly VolumeInspectInfo[],
  signal: AbortSignal,
): Promise<number> {
  const image = (await engine.inspectOwn(agentId))?.Image ?? volumes[0]?.Labels[label.image] ?? '';
  const places = volumes.map((_, index) => `/measured/${index}`);
  const { exitCode, stdout } = await engine.runOnce(
    {
      name: measurerName(agentId),
      Image: image,
      Entrypoint: ['sh', '-c', walk, 'sh'],
      Cmd: places,
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
          // The engine makes a volume anew that was removed meanwhile: by its labels it is found, and removed again.
          VolumeOptions: { NoCopy: true, Labels, DriverConfig: { Name: 'local', Options: {} } },
        })),
      },
    },
    signal,
  );
  const bytes = bytesOf(stdout, places.length);
  if (bytes !== undefined) return bytes;
  throw new CaissonError('PROVIDER_UNAVAILABLE', `The disk of ${agentId} could not be measured (exit ${exitCode}).`);
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
