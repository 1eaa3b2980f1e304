/** The typed client of a Caisson control plane, for Node 20 and later and for browsers. */
export { createCaissonClient, type CaissonClient } from './caisson-client.ts';
export type { AuditExportOptions } from './audit-export.ts';
export type { ReadChangesOptions, ReadDiffOptions } from './changes.ts';
export type { EndpointOptions as CaissonClientOptions } from './endpoint.ts';
export type { ProcessLogPart, ProcessLogsOptions } from './processes/follow-logs.ts';
export type { ProcessEnd, RemoteProcess, SpawnOptions } from './processes/remote-process.ts';
export type { FileInfo, Files, FileSearchItem, FileSearchMatch } from './files.ts';
export type {
  Download,
  DownloadArchiveOptions,
  DownloadOptions,
  UploadArchiveOptions,
  UploadOptions,
  Unpacked,
} from './file-transfers.ts';
export type { FileWatchItem, WatchOptions } from './watch-files.ts';
export type { SubscribeOptions } from './subscription.ts';
export { messageText, type FollowOptions, type SendOptions, type Turn } from './turn.ts';
export type {
  AttachTerminalOptions,
  TerminalAttachment,
  TerminalEvent,
  TerminalExit,
  TerminalSituation,
} from './terminals/terminal-attachment.ts';
export type {
  Agent,
  AgentEvent,
  AgentSnapshot,
  ApiInputs,
  ApiKey,
  Share,
  User,
  QuotaHolder,
  QuotaPlan,
  QuotaStatement,
  ApiOutputs,
  AppRouter,
  AuditRecord,
  Change,
  Checkpoint,
  ControlPlane,
  Conversation,
  EgressLogEntry,
  EgressPolicy,
  EgressRule,
  FileDiff,
  ListeningPort,
  Message,
  KnownSandbox,
  ModelCall,
  Permission,
  Preview,
  Process,
  ProcessList,
  ProcessSignal,
  Run,
  SandboxCounts,
  Secret,
  Terminal,
  SystemOverview,
  UsageTotal,
  UserUsage,
} from './api.ts';
export { CaissonError, type ErrorBody } from '../kernel/errors.ts';
export type { ErrorCode } from '../kernel/error-table.ts';
