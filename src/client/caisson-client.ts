import type { AgentEvent, Change, FileDiff } from './api.ts';
import { type AuditExportOptions, exportAudit } from './audit-export.ts';
import { type Calls, createCalls } from './calls.ts';
import { readChanges, type ReadChangesOptions, readDiff, type ReadDiffOptions } from './changes.ts';
import { createEndpoint, type EndpointOptions } from './endpoint.ts';
import { followLogs, type ProcessLogPart, type ProcessLogsOptions } from './processes/follow-logs.ts';
import type { RemoteProcess, SpawnOptions } from './processes/remote-process.ts';
import { spawn } from './processes/spawn.ts';
import { createFiles, type Files } from './files.ts';
import { subscribe, type SubscribeOptions } from './subscription.ts';
import { attachTerminal } from './terminals/attach-terminal.ts';
import type { AttachTerminalOptions, TerminalAttachment } from './terminals/terminal-attachment.ts';
import { follow, type FollowOptions, send, type SendOptions, type Turn } from './turn.ts';

/**
 * A control plane, as its API is: `client.agents.list.query()`, `client.runs.start.mutate({ … })`. Every rejection is a
 * CaissonError. Nothing is kept open between calls, so there is nothing to close.
 */
export interface CaissonClient extends Pick<
  Calls,
  | 'agents'
  | 'conversations'
  | 'runs'
  | 'changes'
  | 'permissions'
  | 'ports'
  | 'previews'
  | 'egress'
  | 'secrets'
  | 'users'
  | 'sessions'
  | 'keys'
  | 'quotas'
  | 'usage'
  | 'system'
  | 'admin'
> {
  /** Where the control plane is. */
  readonly url: string;
  /** `read` gives pages of stored events; use `subscribe` of the client to follow them. */
  readonly events: Pick<Calls['events'], 'read'>;
  /** `spawn` gives a process with its streams, and `logs` the output of one in the background. */
  readonly processes: Pick<
    Calls['processes'],
    'exec' | 'start' | 'list' | 'get' | 'write' | 'signal' | 'kill' | 'wait'
  > & {
    /** {@inheritDoc spawn} */
    spawn(options: SpawnOptions): Promise<RemoteProcess>;
    /** {@inheritDoc followLogs} */
    logs(options: ProcessLogsOptions): AsyncIterable<ProcessLogPart>;
  };
  /** The files of agents' sandboxes. */
  readonly files: Files;
  /** `attach` by WebSocket, for output and input: see `attachTerminal`. */
  readonly terminals: Pick<Calls['terminals'], 'open' | 'list' | 'get' | 'resize' | 'close'> & {
    attach(options: AttachTerminalOptions): Promise<TerminalAttachment>;
  };
  /** Who did what: for administrators and auditors. */
  readonly audit: Pick<Calls['audit'], 'search' | 'verify'> & {
    /** {@inheritDoc exportAudit} */
    export(options?: AuditExportOptions): ReturnType<typeof exportAudit>;
  };
  /** {@inheritDoc subscribe} */
  subscribe(options: SubscribeOptions): AsyncIterable<AgentEvent>;
  /** {@inheritDoc send} */
  send(options: SendOptions): Promise<Turn>;
  /** {@inheritDoc readChanges} */
  readChanges(options: ReadChangesOptions): AsyncIterable<Change>;
  /** {@inheritDoc readDiff} */
  readDiff(options: ReadDiffOptions): AsyncIterable<FileDiff>;
  /** {@inheritDoc follow} */
  follow(options: FollowOptions): Promise<Turn>;
}

/** Makes a client without calling anything. Throws CONFIG_INVALID for a URL or key that cannot be one. */
export function createCaissonClient(options: EndpointOptions): CaissonClient {
  const endpoint = createEndpoint(options);
  const calls = createCalls(endpoint);
  const {
    agents,
    conversations,
    runs,
    events,
    changes,
    permissions,
    processes,
    terminals,
    ports,
    previews,
    egress,
    secrets,
    users,
    sessions,
    keys,
    quotas,
    usage,
    audit,
    system,
    admin,
  } = calls;
  const client: CaissonClient = {
    url: endpoint.url,
    agents,
    conversations,
    runs,
    events,
    changes,
    files: createFiles(endpoint, calls),
    permissions,
    processes: {
      exec: processes.exec,
      start: processes.start,
      list: processes.list,
      get: processes.get,
      write: processes.write,
      signal: processes.signal,
      kill: processes.kill,
      wait: processes.wait,
      spawn: (process) => spawn(endpoint, calls, process),
      logs: (log) => followLogs(endpoint, log),
    },
    ports,
    previews,
    egress,
    secrets,
    users,
    sessions,
    keys,
    quotas,
    usage,
    system,
    admin,
    terminals: {
      open: terminals.open,
      list: terminals.list,
      get: terminals.get,
      resize: terminals.resize,
      close: terminals.close,
      attach: (attachment) => attachTerminal(endpoint, terminals, attachment),
    },
    audit: {
      search: audit.search,
      verify: audit.verify,
      export: (options) => exportAudit(endpoint, options),
    },
    subscribe: (subscription) => subscribe(endpoint, subscription),
    readChanges: (options) => readChanges(changes, options),
    readDiff: (options) => readDiff(changes, options),
    send: (message) => send(client, message),
    follow: (run) => follow(client, run),
  };
  return client;
}
