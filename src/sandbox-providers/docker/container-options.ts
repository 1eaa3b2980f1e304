import { createHash } from 'node:crypto';
import type { ContainerCreateOptions, HostConfig, MountSettings } from 'dockerode';
import { guestRunDirectory } from '../../wire/contract/guest-api.ts';
import type { SandboxSpec } from '../contract/sandbox-provider.ts';
import { homeVolume, label, type Labels, workspaceVolume } from './labels.ts';
import { seccompProfile } from './seccomp-profile.ts';

/** uid and gid of the image's agent user. */
const user = { uid: 1000, gid: 1000 } as const;

/** Seconds between SIGTERM and SIGKILL when a sandbox is stopped. */
export const stopGraceSeconds = 3;

const mebibyte = 1024 ** 2;

/** Hash of what a sandbox is made from: its spec, and the walls as this version builds them. */
export function specHash(spec: SandboxSpec): string {
  const made = { image: spec.image, environment: environmentList(spec), walls: walls(spec) };
  return createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 32);
}

/** A sealed container for the spec, whose name is the agent's key. The engine makes the volumes where they are missing. */
export function containerOptions(spec: SandboxSpec, instance: string, creation: string): ContainerCreateOptions {
  const shared: Labels = {
    [label.managed]: '1',
    [label.instance]: instance,
    [label.agentId]: spec.agentId,
    [label.image]: spec.image,
    [label.creation]: creation,
  };
  return {
    name: spec.agentId,
    Image: spec.image,
    Labels: { ...shared, [label.spec]: specHash(spec) },
    Env: environmentList(spec),
    Hostname: 'sandbox',
    User: `${user.uid}:${user.gid}`,
    StopSignal: 'SIGTERM',
    StopTimeout: stopGraceSeconds,
    HostConfig: {
      ...walls(spec),
      Mounts: [
        volumeMount(workspaceVolume(spec.agentId), '/workspace', shared),
        volumeMount(homeVolume(spec.agentId), '/home/agent', shared),
      ],
    },
  };
}

/** The walls and limits. What is not given here is the engine's default. */
function walls(spec: SandboxSpec): HostConfig {
  const { limits } = spec;
  return {
    NetworkMode: 'none',
    ReadonlyRootfs: true,
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', `seccomp=${seccompProfile}`],
    IpcMode: 'private',
    Init: true, // reaps orphaned processes and hands SIGTERM on
    RestartPolicy: { Name: 'no' },
    PidsLimit: limits.pids,
    Memory: limits.memoryBytes,
    MemorySwap: limits.memoryBytes, // memory and swap together: no swap
    NanoCpus: Math.round(limits.cpus * 1e9),
    OomScoreAdj: 500, // on a machine short of memory a sandbox dies before the control plane
    // No core files in the workspace. The limit of open files is the engine's own, above which it could not go;
    // open files count as the sandbox's memory.
    Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
    Tmpfs: {
      '/tmp': `rw,exec,nosuid,nodev,mode=1777,size=${temporaryBytes(limits.memoryBytes)}`,
      [guestRunDirectory]: `rw,noexec,nosuid,nodev,mode=700,uid=${user.uid},gid=${user.gid},size=${mebibyte}`,
    },
    LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '2' } },
  };
}

/** A tmpfs lives in the sandbox's memory: half of it at most, so that filling /tmp does not end the guest. */
function temporaryBytes(memoryBytes: number): number {
  return Math.min(Math.floor(memoryBytes / 2), 1024 * mebibyte);
}

function volumeMount(source: string, target: string, labels: Labels): MountSettings {
  return {
    Type: 'volume',
    Source: source,
    Target: target,
    VolumeOptions: { NoCopy: false, Labels: labels, DriverConfig: { Name: 'local', Options: {} } },
  };
}

function environmentList(spec: SandboxSpec): string[] {
  return Object.entries(spec.environment)
    .map(([name, value]) => `${name}=${value}`)
    .sort();
}
