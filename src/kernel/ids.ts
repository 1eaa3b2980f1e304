import * as z from 'zod';

/**
 * Ids are `<prefix>-<26 characters>`: 10 characters of time and 16 of chance in Crockford's base 32, lower case.
 * They sort by time of creation, are safe as container names, DNS labels and file names, and are made only here.
 */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

const prefixes = {
  agent: 'agt',
  conversation: 'cnv',
  message: 'msg',
  run: 'run',
  permission: 'prm',
  key: 'key',
  user: 'usr',
  incarnation: 'inc',
  process: 'prc',
  checkpoint: 'chk',
  terminal: 'trm',
  preview: 'pvw',
  reservation: 'rsv',
  egressRule: 'egr',
  egressRequest: 'erq',
  secret: 'sec',
} as const;

type IdKind = keyof typeof prefixes;

function idSchema<Kind extends IdKind>(kind: Kind) {
  return z
    .string()
    .regex(new RegExp(`^${prefixes[kind]}-[${alphabet}]{26}$`), `must be ${prefixes[kind]}- and 26 letters and digits`)
    .brand<Kind>();
}

export const agentIdSchema = idSchema('agent');
export const conversationIdSchema = idSchema('conversation');
export const messageIdSchema = idSchema('message');
export const runIdSchema = idSchema('run');
export const permissionIdSchema = idSchema('permission');
export const keyIdSchema = idSchema('key');
export const userIdSchema = idSchema('user');
export const incarnationIdSchema = idSchema('incarnation');
export const processIdSchema = idSchema('process');
export const checkpointIdSchema = idSchema('checkpoint');
export const terminalIdSchema = idSchema('terminal');
export const previewIdSchema = idSchema('preview');
const reservationIdSchema = idSchema('reservation');
export const egressRuleIdSchema = idSchema('egressRule');
export const egressRequestIdSchema = idSchema('egressRequest');
export const secretIdSchema = idSchema('secret');

export type AgentId = z.infer<typeof agentIdSchema>;
export type ConversationId = z.infer<typeof conversationIdSchema>;
export type MessageId = z.infer<typeof messageIdSchema>;
export type RunId = z.infer<typeof runIdSchema>;
export type PermissionId = z.infer<typeof permissionIdSchema>;
export type KeyId = z.infer<typeof keyIdSchema>;
export type UserId = z.infer<typeof userIdSchema>;
export type IncarnationId = z.infer<typeof incarnationIdSchema>;
export type ProcessId = z.infer<typeof processIdSchema>;
export type CheckpointId = z.infer<typeof checkpointIdSchema>;
export type TerminalId = z.infer<typeof terminalIdSchema>;
export type PreviewId = z.infer<typeof previewIdSchema>;
export type ReservationId = z.infer<typeof reservationIdSchema>;
export type EgressRuleId = z.infer<typeof egressRuleIdSchema>;
export type EgressRequestId = z.infer<typeof egressRequestIdSchema>;
export type SecretId = z.infer<typeof secretIdSchema>;

/** Chance for the next 256 ids: to ask for it takes as long for one as for all. */
const chance = new Uint8Array(256 * 16);
let chanceUsed = chance.length;

function newId(kind: IdKind): string {
  let time = Date.now();
  let head = '';
  for (let i = 0; i < 10; i++) {
    head = alphabet.charAt(time % 32) + head;
    time = Math.floor(time / 32);
  }
  let tail = '';
  if (chanceUsed === chance.length) {
    crypto.getRandomValues(chance);
    chanceUsed = 0;
  }
  for (const end = chanceUsed + 16; chanceUsed < end; chanceUsed++)
    tail += alphabet.charAt((chance[chanceUsed] ?? 0) % 32);
  return `${prefixes[kind]}-${head}${tail}`;
}

/** When an agent was made, in milliseconds since the epoch, by the clock of whoever made it. */
export function agentMadeAt(id: AgentId): number {
  let time = 0;
  for (const character of id.slice(prefixes.agent.length + 1, prefixes.agent.length + 11)) {
    time = time * 32 + alphabet.indexOf(character);
  }
  return time;
}

export const newAgentId = (): AgentId => newId('agent') as AgentId;
export const newConversationId = (): ConversationId => newId('conversation') as ConversationId;
export const newMessageId = (): MessageId => newId('message') as MessageId;
export const newRunId = (): RunId => newId('run') as RunId;
export const newPermissionId = (): PermissionId => newId('permission') as PermissionId;
export const newKeyId = (): KeyId => newId('key') as KeyId;
export const newUserId = (): UserId => newId('user') as UserId;
export const newIncarnationId = (): IncarnationId => newId('incarnation') as IncarnationId;
export const newProcessId = (): ProcessId => newId('process') as ProcessId;
export const newCheckpointId = (): CheckpointId => newId('checkpoint') as CheckpointId;
export const newTerminalId = (): TerminalId => newId('terminal') as TerminalId;
export const newPreviewId = (): PreviewId => newId('preview') as PreviewId;
export const newReservationId = (): ReservationId => newId('reservation') as ReservationId;
export const newEgressRuleId = (): EgressRuleId => newId('egressRule') as EgressRuleId;
export const newEgressRequestId = (): EgressRequestId => newId('egressRequest') as EgressRequestId;
export const newSecretId = (): SecretId => newId('secret') as SecretId;
