// Runs in the sandbox when its image is built, bundled into one file: starts the guest with the command that it is given, and is its
// control plane and its model for one turn, with a command in it. So guest and harness have called what a first turn calls before
// V8 is asked for what it has compiled. Bounded: a turn that does not end in a minute fails the build.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { ServerHttp2Stream } from 'node:http2';
import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pass } from 'node:timers/promises';
import { type ResponseEvent, responseEvents } from '../src/controlplane/demo-model/responses-events.ts';
import type { ModelRequest } from '../src/controlplane/demo-model/responses-request.ts';
import type { Reply } from '../src/controlplane/demo-model/step.ts';
import { newAgentId, newConversationId, newRunId } from '../src/kernel/ids.ts';
import { guestEnvironment } from '../src/wire/contract/guest-api.ts';
import type { TurnOutcome } from '../src/wire/contract/turn.ts';
import { GuestClient } from '../src/wire/guest-client.ts';
import { serveOutward } from '../src/wire/serve-outward.ts';

const patienceMs = 60_000;
const model = 'gpt-5.5';
const request: ModelRequest = {
  model,
  stream: true,
  purpose: 'turn',
  layout: { kind: 'classic', canPatch: true },
  userText: '',
  transcript: [],
  results: [],
  inputCharacters: 0,
};
const steps: readonly Reply[] = [
  {
    kind: 'reply',
    thought: 'One moment.',
    deltas: ['One ', 'command.'],
    call: { kind: 'command', command: 'echo done' },
  },
  { kind: 'reply', deltas: Array.from({ length: 8 }, (_, index) => `word ${index} `) },
];

void main(process.argv.slice(2)); // what it throws ends this process, with status 1

async function main([program = '', ...args]: readonly string[]): Promise<void> {
  const giveUp = setTimeout(() => {
    console.error(`The first turn did not end in ${patienceMs / 1000} s.`);
    process.exit(1);
  }, patienceMs);
  const environment = {
    ...process.env,
    [guestEnvironment.agentId]: newAgentId(),
    [guestEnvironment.harness]: 'codex',
    [guestEnvironment.model]: model,
  };
  const guest = spawn(program, args, { env: environment, stdio: 'inherit' });
  const exited = once(guest, 'exit');
  const outcome = await firstTurn(guest);
  guest.kill('SIGTERM');
  await exited;
  clearTimeout(giveUp);
  if (outcome.state !== 'completed') throw new Error(`The first turn ended so: ${JSON.stringify(outcome)}`);
}

async function firstTurn(child: ChildProcess): Promise<TurnOutcome> {
  const open = async (channel: string) => {
    const path = `${process.env[guestEnvironment.runDirectory]}/${channel}.sock`;
    while (!existsSync(path)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('The guest ended.');
      await pass(20);
    }
    return createConnection(path);
  };
  const client = new GuestClient(await open('inward'));
  await using connections = new AsyncDisposableStack();
  connections.defer(() => client.close());
  await client.health();
  await client.trust('');
  await client.takeLease(1);
  const onHandlerError = (thrown: unknown): void => console.error(thrown);
  const outward = serveOutward(await open('outward'), answerAsModel, { onHandlerError });
  connections.defer(() => outward.close());
  const egress = serveOutward(await open('egress'), refuse, { channel: 'egress', onHandlerError });
  connections.defer(() => egress.close());
  const session = {
    conversationId: newConversationId(),
    sessionId: null,
    cwd: '/workspace',
    title: 'first',
    model: null,
    mode: null,
  };
  await client.openSession(session);
  await client.startTurn(newRunId(), {
    session,
    content: [{ type: 'text', text: 'Hello.' }],
    timeoutMs: patienceMs,
    idleTimeoutMs: patienceMs,
    permissionTimeoutMs: patienceMs,
  });
  for await (const entries of client.readJournal({ after: 0 })) {
    await client.acknowledge(entries.at(-1)?.seq ?? 0);
    for (const { body } of entries) if (body.type === 'turn.ended') return body.outcome;
  }
  throw new Error('The journal ended.');
}

async function answerAsModel(stream: ServerHttp2Stream): Promise<void> {
  const asked = await text(stream);
  const step = steps[asked.includes('_call_output"') ? 1 : 0];
  if (step === undefined) throw new Error('there is no such step');
  stream.respond({ ':status': 200, 'content-type': 'text/event-stream; charset=utf-8' });
  const { signal } = new AbortController();
  for await (const event of responseEvents(step, request, { delayMs: 0, signal })) stream.write(frame(event));
  stream.end();
}

function frame(event: ResponseEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function refuse(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 403 }, { endStream: true });
}
