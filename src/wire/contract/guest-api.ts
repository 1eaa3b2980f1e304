import * as z from 'zod';
import { conversationIdSchema, incarnationIdSchema, type PermissionId, type RunId } from '../../kernel/ids.ts';
import { journalBounds } from './journal-bounds.ts';

/**
 * The guest's HTTP/2 interface (inward). JSON bodies, validated on both ends by the schemas of this folder; an error is
 * an `ErrorBody` as JSON with the status of its code. Calls that drive the harness carry the lease epoch in
 * `leaseHeader`; the guest refuses an epoch below its highest with STALE_LEASE. Processes: `processes.ts`.
 *
 * | method, path                         | body                 | answer                       | lease |
 * |--------------------------------------|----------------------|------------------------------|-------|
 * | GET    /v1/health                    |                      | GuestHealth                  |       |
 * | PUT    /v1/lease                     | LeaseRequest         | {} or STALE_LEASE            |       |
 * | GET    /v1/journal?after=seq         |                      | JournalEntry lines, endless  | yes   |
 * | POST   /v1/journal/ack               | JournalAck           | {}                           | yes   |
 * | PUT    /v1/sessions/:conversationId  | SessionSpec          | {} (opens ahead of a turn)   | yes   |
 * | DELETE /v1/sessions/:conversationId  |                      | {}                           | yes   |
 * | PUT    /v1/turns/:runId              | TurnRequest          | TurnStatus                   | yes   |
 * | GET    /v1/turns/:runId              |                      | TurnStatus                   |       |
 * | POST   /v1/turns/:runId/cancel       | {}                   | TurnStatus                   | yes   |
 * | POST   /v1/permissions/:permissionId | PermissionAnswer     | {} or PERMISSION_NOT_PENDING | yes   |
 * | the paths of `egress.ts`, `files.ts`, `processes.ts`, `terminals.ts`, `changes.ts` and `ports.ts`, each with its own table |
 */
export const guestPaths = {
  health: '/v1/health',
  lease: '/v1/lease',
  journal: '/v1/journal',
  journalAck: '/v1/journal/ack',
  session: (id: string) => `/v1/sessions/${id}`,
  turn: (id: RunId) => `/v1/turns/${id}`,
  turnCancel: (id: RunId) => `/v1/turns/${id}/cancel`,
  permission: (id: PermissionId) => `/v1/permissions/${id}`,
} as const;

/** The version of this contract. Both ends must carry the same. */
export const guestProtocol = 4;

/** Directory of the guest's sockets in the sandbox; the provider's `connect` leads to `<directory>/<channel>.sock`. */
export const guestRunDirectory = '/run/caisson';

/** Where the harness finds its model service in the sandbox. Must equal `base_url` in /etc/codex/config.toml. */
export const modelEndpoint = { host: '127.0.0.1', port: 7777 } as const;

/** Outward requests: `/model/<path>` is what the harness asked of `http://127.0.0.1:7777/<path>`. */
export const outwardModelPrefix = '/model';

/** Environment variables that the control plane gives to the guest when it creates a sandbox. None is a secret. */
export const guestEnvironment = {
  agentId: 'CAISSON_AGENT_ID',
  harness: 'CAISSON_HARNESS',
  model: 'CAISSON_MODEL',
  /** Overrides `guestRunDirectory`, where the guest is a plain process. */
  runDirectory: 'CAISSON_RUN_DIR',
  /** Overrides the port of `modelEndpoint`, where the guest is a plain process. */
  modelPort: 'CAISSON_MODEL_PORT',
  /** Override the ports of `egressProxy`, where the guest is a plain process. */
  httpProxyPort: 'CAISSON_HTTP_PROXY_PORT',
  socksProxyPort: 'CAISSON_SOCKS_PROXY_PORT',
} as const;

export const leaseHeader = 'caisson-lease';

/** Trailer of a stream that the guest ends before its time, such as a journal or an archive: why, as base64url JSON of an ErrorBody. */
export const errorTrailer = 'caisson-error';

/**
 * Bound of one journal entry as a line of JSON, with its end. The guest cuts what its harness says so that it fits: long
 * messages and outputs are split, other large texts are shortened with a mark in them.
 */
export const maxJournalLineBytes = 1024 * 1024;

/**
 * The same for an entry with a permission request: a person reads it, many of them may be pending, and all of an agent end
 * at once when its sandbox does.
 */
export const maxPermissionLineBytes = 384 * 1024;

export const leaseRequestSchema = z.object({ epoch: z.int().positive() });
export const journalAckSchema = z.object({ seq: z.int().min(0) });

export const guestHealthSchema = z.object({
  protocol: z.int(),
  /** Content hash of the guest's bundle. */
  guestVersion: z.string().max(journalBounds.word),
  agentId: z.string().max(journalBounds.word),
  incarnation: incarnationIdSchema,
  /** Milliseconds since the epoch. */
  startedAt: z.int(),
  leaseEpoch: z.int().min(0),
  journal: z.object({ head: z.int(), acknowledged: z.int(), bytes: z.int(), full: z.boolean() }),
  harness: z.object({
    name: z.string().max(journalBounds.word),
    state: z.enum(['starting', 'ready', 'stopped', 'failed']),
  }),
});
export type GuestHealth = z.infer<typeof guestHealthSchema>;

/** Either one of the options of the request, or its refusal. */
export const permissionAnswerSchema = z.object({
  optionId: z.string().nullable(),
  resolvedBy: z.string(),
});
export type PermissionAnswer = z.infer<typeof permissionAnswerSchema>;

export const sessionParamsSchema = z.object({ conversationId: conversationIdSchema });
