import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { methods, RequestError, type AgentContext, type PromptResponse } from '@agentclientprotocol/sdk/unstable';
import type { ScriptedChoices } from './choices.ts';
import type { AgentStore } from './store.ts';

export interface ScriptedSession {
  readonly sessionId: string;
  cancel: AbortController;
  readonly children: ChildProcess[];
  readonly choices: ScriptedChoices;
}

interface Act {
  readonly rest: string;
  readonly session: ScriptedSession;
  readonly client: AgentContext;
  readonly store: AgentStore;
  readonly update: (update: object) => Promise<void>;
}

type Directive = (act: Act) => Promise<PromptResponse | undefined>;

const done: PromptResponse = { stopReason: 'end_turn' };
const canceled: PromptResponse = { stopReason: 'cancelled' };

async function chunks(act: Act, sessionUpdate: string, messageId: string): Promise<undefined> {
  for (const text of act.rest.match(/\s*\S+\s*/g) ?? []) {
    await act.update({ sessionUpdate, messageId, content: { type: 'text', text } });
  }
}

/** What a line of a prompt can say; `rest` is what follows the first word. A prompt without an end ends with `end_turn`. */
const directives: Readonly<Record<string, Directive>> = {
  /** Words of one message. */
  say: (act) => chunks(act, 'agent_message_chunk', randomUUID()),
  think: (act) => chunks(act, 'agent_thought_chunk', randomUUID()),
  /** Any update, as JSON, known to ACP or not. */
  async update({ rest, session }) {
    const params = { sessionId: session.sessionId, update: JSON.parse(rest) as unknown };
    writeRaw(JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params }));
    return undefined;
  },
  /** A line on stdout that is no message. */
  async garbage({ rest }) {
    writeRaw(rest);
    return undefined;
  },
  /** Opens a tool call. */
  async tool({ rest, update }) {
    await update({ sessionUpdate: 'tool_call', toolCallId: rest, title: rest, kind: 'execute', status: 'in_progress' });
    return undefined;
  },
  async 'tool-end'({ rest, update }) {
    await update({ sessionUpdate: 'tool_call_update', toolCallId: rest, status: 'completed' });
    return undefined;
  },
  /** Asks for permission; a refusal ends the turn, as with Codex. */
  async ask({ rest, client, session, store, update }) {
    const { outcome } = await client.request(methods.client.session.requestPermission, {
      sessionId: session.sessionId,
      toolCall: { toolCallId: rest, title: rest, kind: 'execute', rawInput: { command: rest } },
      options: [
        { optionId: 'yes', name: 'Yes', kind: 'allow_once' },
        { optionId: 'no', name: 'No', kind: 'reject_once' },
      ],
    });
    store.log('permission answer', outcome);
    if (outcome.outcome === 'cancelled' || outcome.optionId !== 'yes') return canceled;
    const content = { type: 'text', text: 'allowed' };
    await update({ sessionUpdate: 'agent_message_chunk', messageId: randomUUID(), content });
    return undefined;
  },
  /** Waits for a cancellation, and honours it. */
  async hang({ session }) {
    const { signal } = session.cancel;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    return canceled;
  },
  /** Waits for a cancellation, and ends as if there had been none. */
  async 'finish-when-canceled'({ session }) {
    const { signal } = session.cancel;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    return done;
  },
  async 'ignore-cancel'() {
    return new Promise(() => undefined);
  },
  /** Starts a process that outlives the turn, as Codex leaves commands running. */
  async 'leave-running'({ session, store }) {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    session.children.push(child);
    store.log('child', { pid: child.pid });
    return undefined;
  },
  /** Exits in the middle of the turn. */
  async exit({ rest }) {
    process.stderr.write('a last word\n');
    process.exit(Number(rest));
  },
  async 'close-stdout'() {
    process.stdout.end();
    return new Promise(() => undefined);
  },
  /** `flood <chunks> <characters>`: as fast as stdout takes them. */
  async flood({ rest, update, store }) {
    const [count = 0, size = 1] = rest.split(' ').map(Number);
    const messageId = randomUUID();
    const content = { type: 'text', text: 'x'.repeat(size) };
    for (let sent = 1; sent <= count; sent++) {
      await update({ sessionUpdate: 'agent_message_chunk', messageId, content });
      if (sent % 100 === 0) store.progress(sent);
    }
    return undefined;
  },
  /** `error <code> <JSON data>` */
  async error({ rest }) {
    const [code = '-32603'] = rest.split(' ');
    throw new RequestError(Number(code), 'Scripted error', JSON.parse(rest.slice(code.length) || 'null'));
  },
  /** Ends the turn with this stop reason. */
  async stop({ rest }) {
    // Also reasons that ACP does not have, for which the type has no room.
    return { ...done, stopReason: rest as PromptResponse['stopReason'] };
  },
  /** An update after the turn's answer. */
  async afterwards({ rest, update }) {
    const content = { type: 'text', text: rest };
    setImmediate(() => void update({ sessionUpdate: 'agent_message_chunk', messageId: randomUUID(), content }));
    return undefined;
  },
};

function writeRaw(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Does what the text says, line by line, and answers the prompt. */
export async function perform(
  text: string,
  session: ScriptedSession,
  client: AgentContext,
  store: AgentStore,
): Promise<PromptResponse> {
  // Through the connection's own queue, but past its types: a script may send what ACP does not have.
  const update = (update: object): Promise<void> =>
    client.notify<object>(methods.client.session.update as string, { sessionId: session.sessionId, update });
  for (const line of text.split('\n')) {
    const [word = ''] = line.trim().split(' ');
    const directive = directives[word];
    if (directive === undefined) continue;
    const end = await directive({ rest: line.trim().slice(word.length + 1), session, client, store, update });
    if (end !== undefined) return end;
  }
  return done;
}
