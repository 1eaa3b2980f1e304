import {
  newAgentId,
  newConversationId,
  newEgressRequestId,
  newKeyId,
  newPermissionId,
  newPreviewId,
  newProcessId,
  newRunId,
  newSecretId,
  newTerminalId,
  newUserId,
} from '../../../src/kernel/ids.ts';

/** Ids of things: of somebody, or of nobody. */
export interface Ids {
  readonly agentId: string;
  readonly conversationId: string;
  readonly runId: string;
  readonly permissionId: string;
  readonly keyId: string;
  readonly previewId: string;
  readonly egressRequestId: string;
  readonly userId: string;
}

export function idsOfNobody(): Ids {
  return {
    agentId: newAgentId(),
    conversationId: newConversationId(),
    runId: newRunId(),
    permissionId: newPermissionId(),
    keyId: newKeyId(),
    previewId: newPreviewId(),
    egressRequestId: newEgressRequestId(),
    userId: newUserId(),
  };
}

/** How a procedure is asked about somebody's things. */
export interface Row {
  readonly input: (ids: Ids) => object;
  /** What is answered for a thing that the caller may not see. Default: it names no such thing. */
  readonly notFound?: string;
  /**
   * That it asks the sandbox, which here has no inside, so that even those who may are refused in the end: `open` starts
   * one where needed (by those who may use it), `running` does not.
   */
  readonly inside?: 'open' | 'running';
  /** With what those who may are refused here for another reason. */
  readonly endsWith?: string;
}

const ofAgent = { input: ({ agentId }: Ids) => ({ agentId }), notFound: 'AGENT_NOT_FOUND' };
const ofConversation = {
  input: ({ conversationId }: Ids) => ({ conversationId }),
  notFound: 'CONVERSATION_NOT_FOUND',
};
const ofRun = { input: ({ runId }: Ids) => ({ runId }), notFound: 'RUN_NOT_FOUND' };
const ofPreview = { input: ({ previewId }: Ids) => ({ previewId }), notFound: 'PREVIEW_NOT_FOUND' };
const ofUser = { input: ({ userId }: Ids) => ({ userId }) };

/** About an agent, with more. */
function withAgent(more: object, inside?: Row['inside']): Row {
  const row = { input: ({ agentId }: Ids) => ({ agentId, ...more }), notFound: 'AGENT_NOT_FOUND' };
  return inside === undefined ? row : { ...row, inside };
}

const [processId, terminalId] = [newProcessId(), newTerminalId()];
let made = 0;
const fresh = (): string => `made-${++made}`;

/** Every procedure. One without a row fails the tests, as does one that does not say what it needs. */
export const accessRows: Readonly<Record<string, Row>> = {
  'agents.create': { input: () => ({ name: fresh() }) },
  'agents.list': { input: () => ({}) },
  'agents.get': ofAgent,
  'agents.status': ofAgent,
  'agents.history': ofAgent,
  'agents.sendMessage': {
    input: ({ agentId, conversationId }) => ({ agentId, conversationId, message: 'hi', timeoutMs: 0 }),
    notFound: 'AGENT_NOT_FOUND',
  },
  'agents.delete': { input: ({ agentId }) => ({ agentId }) },
  'agents.share': withAgent({ user: 'stranger', role: 'viewer' }),
  'agents.unshare': withAgent({ user: 'viewer' }),
  'agents.shares': ofAgent,
  'conversations.open': ofAgent,
  'conversations.list': ofAgent,
  'conversations.get': ofConversation,
  'conversations.configure': {
    input: ({ conversationId }) => ({ conversationId, mode: 'plan' }),
    notFound: 'CONVERSATION_NOT_FOUND',
  },
  'conversations.close': ofConversation,
  'runs.start': {
    input: ({ conversationId }) => ({ conversationId, message: 'hi' }),
    notFound: 'CONVERSATION_NOT_FOUND',
  },
  'runs.wait': { input: ({ runId }) => ({ runId, timeoutMs: 0 }), notFound: 'RUN_NOT_FOUND' },
  'runs.get': ofRun,
  'runs.list': ofAgent,
  'runs.cancel': ofRun,
  'events.subscribe': ofAgent,
  'events.read': ofAgent,
  'changes.status': withAgent({ since: 'commit' }, 'open'),
  'changes.diff': withAgent({ since: 'commit' }, 'open'),
  'changes.checkpoints': withAgent({}, 'open'),
  'changes.restore': { ...ofRun, inside: 'open' },
  'files.list': withAgent({ path: '' }, 'open'),
  'files.stat': withAgent({ path: 'a' }, 'open'),
  'files.read': withAgent({ path: 'a' }, 'open'),
  'files.write': withAgent({ path: 'a', content: '' }, 'open'),
  'files.mkdir': withAgent({ path: 'a' }, 'open'),
  'files.move': withAgent({ from: 'a', to: 'b' }, 'open'),
  'files.copy': withAgent({ from: 'a', to: 'b' }, 'open'),
  'files.remove': withAgent({ path: 'a' }, 'open'),
  'files.search': withAgent({ query: 'a' }, 'open'),
  'files.watch': withAgent({ path: '' }, 'open'),
  'permissions.list': ofAgent,
  'permissions.respond': {
    input: ({ permissionId }) => ({ permissionId, optionId: 'allow_once' }),
    notFound: 'PERMISSION_NOT_FOUND',
  },
  'processes.exec': withAgent({ command: ['true'] }, 'open'),
  'processes.start': withAgent({ command: ['true'] }, 'open'),
  'processes.list': withAgent({}, 'running'),
  'processes.get': withAgent({ processId }, 'running'),
  'processes.write': withAgent({ processId }, 'running'),
  'processes.signal': withAgent({ pid: 2, signal: 'SIGTERM' }, 'running'),
  'processes.kill': withAgent({ pid: 2 }, 'running'),
  'processes.wait': withAgent({ processId }, 'running'),
  'processes.logs': withAgent({ processId }, 'running'),
  'terminals.open': withAgent({}, 'open'),
  'terminals.list': ofAgent,
  'terminals.get': withAgent({ terminalId }, 'running'),
  'terminals.resize': withAgent({ terminalId, cols: 80, rows: 24 }, 'running'),
  'terminals.close': withAgent({ terminalId }, 'running'),
  'ports.list': withAgent({}, 'running'),
  'previews.create': withAgent({ port: 3000 }),
  'previews.list': ofAgent,
  'previews.get': ofPreview,
  'previews.revoke': ofPreview,
  'egress.policy.get': ofAgent,
  'egress.policy.set': withAgent({ mode: 'open' }),
  'egress.policy.test': withAgent({ host: 'example.com' }),
  'egress.policy.presets': { input: () => ({}) },
  'egress.pending': ofAgent,
  'egress.decide': {
    input: ({ egressRequestId: requestId }) => ({ requestId, answer: 'once' }),
    notFound: 'EGRESS_REQUEST_NOT_FOUND',
  },
  'egress.log': ofAgent,
  'egress.usage': ofAgent,
  'secrets.set': withAgent({ host: 'example.com', form: { kind: 'bearer' }, value: 'a-secret-value' }),
  'secrets.list': ofAgent,
  'secrets.remove': { ...withAgent({ secretId: newSecretId() }), endsWith: 'SECRET_NOT_FOUND' },
  'users.list': { input: () => ({}) },
  'users.get': ofUser,
  'users.invite': { input: () => ({ name: fresh() }) },
  'users.accept': { input: () => ({ invitation: 'none' }), endsWith: 'INVITATION_INVALID' },
  'users.resetLogin': {
    input: ({ userId }) => ({ userId, email: `${fresh()}@example.com` }),
  },
  'users.disable': ofUser,
  'users.enable': ofUser,
  'users.delete': ofUser,
  'sessions.list': { input: () => ({}) },
  'sessions.revoke': { input: () => ({ sessionId: newKeyId() }), endsWith: 'KEY_NOT_FOUND' },
  'sessions.revokeAll': { input: () => ({}) },
  'keys.create': { input: () => ({ user: fresh(), name: 'k' }) },
  'keys.list': { input: () => ({}) },
  'keys.revoke': { input: ({ keyId }) => ({ keyId }) },
  'quotas.get': { input: ({ agentId }) => ({ of: { agentId } }), notFound: 'AGENT_NOT_FOUND' },
  'quotas.set': {
    input: ({ conversationId }) => ({ of: { conversationId }, version: 0, limits: { tokens: 1 } }),
    notFound: 'CONVERSATION_NOT_FOUND',
  },
  'quotas.plans': { input: () => ({}) },
  'quotas.setPlan': { input: () => ({ name: fresh(), version: 0, limits: { tokens: 1 } }) },
  'quotas.removePlan': { input: () => ({ name: 'none', version: 1 }), endsWith: 'PLAN_NOT_FOUND' },
  'usage.totals': {
    input: ({ agentId }) => ({ agentId, from: '2026-01-01', to: '2026-01-31' }),
    notFound: 'AGENT_NOT_FOUND',
  },
  'usage.calls': ofAgent,
  'usage.me': { input: () => ({}) },
  'audit.search': { input: () => ({}) },
  'audit.verify': { input: () => ({}) },
  'admin.sandboxes.list': { input: () => ({}) },
  'admin.sandboxes.stop': { input: ({ agentId }) => ({ agentId }) },
  'admin.sandboxes.destroy': { input: ({ agentId }) => ({ agentId }) },
  'admin.overview': { input: () => ({}) },
  'admin.usage': { input: () => ({}) },
  'system.health': { input: () => ({}) },
  'system.version': { input: () => ({}) },
  'system.sandboxes': { input: () => ({}) },
};
