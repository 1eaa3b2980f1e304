import type { Duplex } from 'node:stream';
import type { AgentId } from '../../kernel/ids.ts';

/** What one sandbox may use. Real limits of the machine, not wishes. */
export interface SandboxLimits {
  /** Processor cores; may be a fraction. */
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly pids: number;
}

export interface SandboxSpec {
  /** The agent's key, and so the sandbox's. */
  readonly agentId: AgentId;
  /** The image or template, in the provider's own words. */
  readonly image: string;
  readonly limits: SandboxLimits;
  /** For the guest. Never a secret. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * `running` may not answer yet; `stopped` can be started with its workspace, which may be all that is left of it;
 * `broken` is being removed or cannot be used, and is replaced, with its workspace, when it is brought up.
 */
export type SandboxState = 'running' | 'paused' | 'stopped' | 'broken';

/** How a sandbox came to its end. */
export interface SandboxEnd {
  /** Of its first process; 128 and the signal's number where a signal ended it. */
  readonly exitCode: number;
  /** Whether the machine has killed something in it for want of memory since it was started. */
  readonly outOfMemory: boolean;
}

export interface Sandbox {
  readonly agentId: AgentId;
  readonly state: SandboxState;
  /** For one that does not run any more, where the provider knows. Always null in a listing. */
  readonly ended: SandboxEnd | null;
  /** The provider's own id, for people and logs. */
  readonly providerId: string;
  readonly image: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What a provider may lack, as data. A missing one is refused with CAPABILITY_UNSUPPORTED, never skipped. */
export interface ProviderCapabilities {
  readonly pause: boolean;
  /** Whether `limits` are enforced by the machine. A provider without this is refused unless it says so by name. */
  readonly limits: boolean;
  /** Whether the sandbox has no network but the wire. A provider without this is for development only. */
  readonly sealedNetwork: boolean;
  /** Whether it can tell what a sandbox takes of a disk. Without this no sandbox can have a limit of it. */
  readonly disk: boolean;
}

/** What workspace and home of a sandbox take of a disk. */
export interface DiskUse {
  /** How it was found out, in a word or two for people, e.g. "walk from the host". */
  readonly method: string;
  /** Blocks that are allocated: a hole in a file takes none, and a file with several names is counted once. */
  readonly usedBytes: number;
}

/** The disk that the sandboxes of an engine share. */
export interface DiskSpace {
  /** What is left to those who are not root. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Without one that is free no file can be made, whatever its size. Null where they have no number of their own. */
  readonly inodes: { readonly free: number; readonly total: number } | null;
}

export interface StopOptions {
  /** By force from the beginning. Default false. */
  readonly atOnce?: boolean | undefined;
}

/** What a sandbox takes at the moment. */
export interface SandboxLoad {
  /** Processor cores, of the last second or so. */
  readonly cpus: number;
  /** Without what the kernel only caches. */
  readonly memoryBytes: number;
  readonly pids: number;
  /** Milliseconds since the epoch: when it was started. */
  readonly startedAt: number;
}

/**
 * The byte streams of the wire. The control plane asks on `inward`; the guest asks on `outward`, and for connections to the
 * world on `egress`.
 */
export type WireChannel = 'inward' | 'outward' | 'egress';

/**
 * A provider is a life cycle and a byte stream. The agent's key is the only key: every call is by `agentId`, and the
 * provider can always say who has it. Calls for one agent may come at the same time; each is idempotent.
 * Errors: PROVIDER_UNAVAILABLE when the engine does not answer, SANDBOX_IMAGE_MISSING, SANDBOX_START_FAILED,
 * SANDBOX_NOT_RUNNING (connect, pause, resume), WIRE_LOST (connect: it runs, and nobody listens in it),
 * CAPABILITY_UNSUPPORTED. An aborted call rejects with its signal's reason. Disposing closes the provider's streams and
 * leaves the sandboxes as they are.
 */
export interface SandboxProvider extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: ProviderCapabilities;

  /** Whether the engine answers, and what it is, e.g. "Docker 20.10.24". Rejects with PROVIDER_UNAVAILABLE. */
  check(signal?: AbortSignal): Promise<{ readonly description: string }>;

  /**
   * Brings the agent's sandbox to `running`: creates it, starts it, resumes it or replaces an outdated one, keeping its
   * workspace and home. One that was made from another image, other limits or another environment is outdated, **even
   * while it runs**: to keep work that is under way, `find` it and connect. Single-flight for an agent. What a failed
   * creation made is gone when the promise rejects; a workspace that was there before is kept.
   */
  ensureRunning(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;

  /** Who has this key? */
  find(agentId: AgentId): Promise<Sandbox | undefined>;

  /** Everything that carries our label, running or not, so that orphans can be found. At most 10,000. */
  list(): Promise<readonly Sandbox[]>;

  /**
   * Ends every process, after 3 s by force, or `atOnce`; workspace and home stay. Done when nothing runs. A missing sandbox is
   * no error.
   */
  stop(agentId: AgentId, options?: StopOptions): Promise<void>;

  /** Freezes every process. One that is paused already is no error, nor is resuming one that runs. */
  pause(agentId: AgentId): Promise<void>;
  resume(agentId: AgentId): Promise<void>;

  /** Removes the sandbox with its workspace, home and everything else. A missing one is no error. */
  destroy(agentId: AgentId): Promise<void>;

  /**
   * What the sandbox takes of the disk, running or not: nothing when it is missing. What runs in it can neither hide from this
   * nor slow it down for others. It may take long where there are many files: DEADLINE_EXCEEDED after 60 s.
   */
  measureDisk(agentId: AgentId, signal?: AbortSignal): Promise<DiskUse>;

  /** What is left on the disk that all sandboxes write to; undefined where that cannot be told. Cheap. */
  diskSpace(): Promise<DiskSpace | undefined>;

  /** What the sandbox takes at the moment; undefined when it does not run. Takes up to some seconds. */
  load(agentId: AgentId, signal?: AbortSignal): Promise<SandboxLoad | undefined>;

  /**
   * A new byte stream to the guest's socket of that channel, which waits some seconds for a guest that is starting.
   * Back-pressured both ways, with bounded memory. `end()` closes one direction; the guest's end closes both. It is over
   * when either side ends it, when the sandbox stops, or when `destroy()` is called on it.
   */
  connect(agentId: AgentId, channel: WireChannel, signal?: AbortSignal): Promise<Duplex>;
}
