import { type AgentId, type ConversationId, newPermissionId, type UserId } from '../../../src/kernel/ids.ts';
import type { Standing } from '../../../scripts/docs/verdicts.ts';
import { until } from '../../until.ts';
import { procedureTypes } from '../procedure-types.ts';
import { type Caller, type RunningServer, startServer } from '../running-server.ts';
import type { Ids } from './access-rows.ts';

/** A server, somebody of each standing, and things of the owner that are shared with the editor and the viewer. */
export interface AccessFixture extends AsyncDisposable {
  readonly server: RunningServer;
  readonly callers: Readonly<Record<Standing, Caller>>;
  /** One of everything, with a run under way that asks for permission; and a user who owns nothing, with a key. */
  readonly makeThings: () => Promise<Ids>;
}

export async function openAccess(): Promise<AccessFixture> {
  const many = 100_000;
  const server = await startServer({
    limits: { agents: many },
    domain: { maxConcurrentRuns: many, maxConcurrentRunsPerUser: many },
  });
  const callers = {
    admin: server.admin,
    owner: await server.caller('owner', 'member'),
    editor: await server.caller('editor', 'member'),
    viewer: await server.caller('viewer', 'member'),
    stranger: await server.caller('stranger', 'member'),
    auditor: await server.caller('auditor', 'auditor'),
  };
  let count = 0;
  const makeThings = async (): Promise<Ids> => {
    count += 1;
    const { owner } = callers;
    const made = await server.mutate(owner, 'agents.create', { name: `theirs-${count}`, wait: true });
    const { id: agentId } = made.data as { id: AgentId };
    for (const role of ['editor', 'viewer'] as const) {
      await server.mutate(owner, 'agents.share', { agentId, user: role, role });
    }
    const opened = await server.mutate(owner, 'conversations.open', { agentId });
    const { id: conversationId } = opened.data as { id: ConversationId };
    await server.mutate(owner, 'runs.start', { conversationId, message: 'push' });
    const guest = server.sandboxes.currentGuest(agentId);
    const runId = await until('the turn', () => guest?.turns.keys().next().value);
    const permissionId = newPermissionId();
    const options = [{ optionId: 'allow_once', name: 'Allow', kind: 'allow_once' as const }];
    const expiresAt = Date.now() + 600_000;
    const shown = { toolCallId: 't', title: 'git push', kind: 'execute', content: [], options, expiresAt };
    await guest?.say(
      { type: 'turn.started', runId, conversationId },
      { type: 'event', conversationId, runId, event: { type: 'permission.requested', permissionId, ...shown } },
    );
    const { data: preview } = await server.mutate(owner, 'previews.create', { agentId, port: 3000 });
    const { id: previewId } = preview as { id: string };
    await server.mutate(owner, 'egress.policy.set', { agentId, mode: 'ask' });
    void server.egressPolicy.decide(agentId, { host: 'example.com', port: 443 }, new AbortController().signal);
    const { id: egressRequestId } = await until('the question', () =>
      server.egressPolicy.pending().find((question) => question.agentId === agentId),
    );
    const someone = await server.keys.issue({ user: `someone-${count}`, role: 'member', name: 'k' });
    const userId: UserId = someone.user.id;
    return { agentId, conversationId, runId, permissionId, previewId, egressRequestId, keyId: someone.key.id, userId };
  };
  return { server, callers, makeThings, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** What a call comes to. */
export interface Outcome {
  readonly status: number;
  /** The error; of a success undefined. */
  readonly error: { readonly code: string } | undefined;
  readonly data: unknown;
}

/** Calls a procedure of any type. Of a subscription the first item counts, or what refuses it. */
export async function ask(server: RunningServer, caller: Caller | null, path: string, input: object): Promise<Outcome> {
  const type = procedureTypes.get(path);
  const given = Object.keys(input).length === 0 ? undefined : input;
  if (type === 'query') return await server.query(caller, path, given);
  if (type === 'mutation') return await server.mutate(caller, path, given);
  const leave = new AbortController();
  const response = await server.subscribe(caller, input, { signal: leave.signal }, path);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const [, shape] = /event: serialized-error\ndata: (.*)\n\n/.exec(text) ?? [];
    if (shape !== undefined) {
      const { data } = JSON.parse(shape) as { data: { caisson: { code: string }; httpStatus: number } };
      return { status: data.httpStatus, error: data.caisson, data: undefined };
    }
    if (/^id: /m.test(text)) break;
  }
  leave.abort();
  return { status: 200, error: undefined, data: undefined };
}
