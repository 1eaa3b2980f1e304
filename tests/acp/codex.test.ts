import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startScriptedModel, type ScriptedModel } from '../doubles/scripted-model.ts';
import { until } from '../until.ts';
import { codexHarness } from './codex-harness.ts';
import { isAlive } from './process-state.ts';

let model: ScriptedModel;
beforeAll(async () => {
  model = await startScriptedModel();
});
afterAll(() => model.close());

const resolvedBy = 'usr-someone';

test('Codex answers, and asks the model for nothing else', async () => {
  await using run = codexHarness(model.baseUrl);
  const before = model.requestCount;
  const runId = run.prompt('say hello there');
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed', reason: 'end_turn' });
  expect(run.sink.messages(runId)).toEqual(['hello there']);
  await run.sink.outcome(run.prompt('say again'));
  expect(model.requestCount - before).toBe(2);
  expect(model.requests.at(-1)?.authorization).toBeNull();
  expect(run.sink.of('harness.started')).toMatchObject([{ harness: 'codex', version: '2.6.0' }]);
});

test('text that begins with a slash reaches the model as it was written', async () => {
  await using run = codexHarness(model.baseUrl);
  const runId = run.prompt('/status');
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  expect(model.requests.at(-1)?.userText.trim()).toBe('/status');
});

test('commands and patches are told with their output, exit code and diff', async () => {
  await using run = codexHarness(model.baseUrl);
  const command = run.prompt('run echo one; exit 3');
  expect(await run.sink.outcome(command)).toMatchObject({ state: 'completed' });
  const started = await run.sink.event(command, 'tool.started');
  expect(started).toMatchObject({ title: 'echo one; exit 3', kind: 'execute' });
  expect(await run.sink.event(command, 'tool.completed')).toMatchObject({ status: 'failed', exitCode: 3 });
  const output = run.sink.events(command).flatMap((event) => ('output' in event ? [event.output] : []));
  expect(output.join('')).toBe('one\n');

  const patch = run.prompt('patch notes.txt: first');
  expect(await run.sink.outcome(patch)).toMatchObject({ state: 'completed' });
  const file = path.join(run.directory, 'notes.txt');
  const edit = run.sink.events(patch).findLast((event) => event.type === 'tool.completed');
  expect(edit).toMatchObject({ content: [{ type: 'diff', path: file, oldText: null, newText: 'first\n' }] });
  expect(readFileSync(file, 'utf8')).toBe('first\n');
});

test('a push waits for permission: allowed it runs, refused it ends the turn, and the next turn works', async () => {
  await using run = codexHarness(model.baseUrl);
  const allowed = run.prompt('push');
  const first = await run.sink.event(allowed, 'permission.requested');
  expect(first).toMatchObject({ title: 'git push', kind: 'execute', input: { command: 'git push' } });
  expect(run.sink.events(allowed).some((event) => event.type === 'tool.completed')).toBe(false);
  run.harness.answerPermission(first.permissionId, { optionId: 'allow_once', resolvedBy });
  expect(await run.sink.outcome(allowed)).toMatchObject({ state: 'completed' });
  expect(await run.sink.event(allowed, 'tool.completed')).toMatchObject({ status: 'failed', exitCode: 128 });

  const refused = run.prompt('push');
  const second = await run.sink.event(refused, 'permission.requested');
  run.harness.answerPermission(second.permissionId, { optionId: null, resolvedBy });
  expect(await run.sink.outcome(refused)).toMatchObject({ state: 'canceled', reason: 'permission_rejected' });

  const expired = run.prompt('push', { permissionTimeoutMs: 50 });
  expect(await run.sink.outcome(expired)).toMatchObject({ state: 'canceled', reason: 'permission_expired' });
  for (const runId of [refused, expired]) {
    expect(await run.sink.event(runId, 'tool.completed')).toMatchObject({ status: 'canceled', exitCode: null });
  }
  expect(await run.sink.outcome(run.prompt('say next'))).toMatchObject({ state: 'completed' });
});

test('cancelling a turn ends the command in it, and the next turn goes on in the same session', async () => {
  await using run = codexHarness(model.baseUrl);
  const pidFile = path.join(run.directory, 'pid');
  const runId = run.prompt(`run echo $$ > ${pidFile}; sleep 300`);
  const pid = await until('the command', () => Number(readPid(pidFile)) || undefined);
  run.harness.cancelTurn(runId);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  await until('the end of the command', () => !isAlive(pid));
  expect(await run.sink.outcome(run.prompt('say next'))).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'resumed']);
  expect(run.sink.of('harness.exited')).toEqual([]);
});

test('a turn that is canceled as soon as it starts ends as canceled', async () => {
  await using run = codexHarness(model.baseUrl);
  await run.sink.outcome(run.prompt('say first'));
  const runId = run.prompt('hold never');
  await run.sink.started(runId);
  run.harness.cancelTurn(runId);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  expect(run.sink.of('harness.exited')).toEqual([]);
});

test('a model that fails fails the turn with its words, and says nothing in the name of the agent', async () => {
  await using run = codexHarness(model.baseUrl);
  const refused = run.prompt('fail');
  expect(await run.sink.outcome(refused)).toEqual({
    state: 'failed',
    reason: 'model_error',
    message: 'The demo model was asked to fail.',
  });
  expect(run.sink.messages(refused)).toEqual([]);
  expect(await run.sink.outcome(run.prompt('quota'))).toMatchObject({ reason: 'model_quota_exhausted' });
  expect(await run.sink.outcome(run.prompt('http 401'))).toMatchObject({ reason: 'model_unauthorized' });
});

test('a model stream that is cut and tried again takes the first try back', async () => {
  await using run = codexHarness(model.baseUrl);
  const runId = run.prompt('cut after 5 once');
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  expect(run.sink.messages(runId)).toEqual(['recovered']);
  expect(await run.sink.event(runId, 'message.discarded')).toMatchObject({ reason: 'model_retry' });
});

test('a harness killed in a turn fails it and leaves nothing running; the next turn resumes the conversation', async () => {
  await using run = codexHarness(model.baseUrl);
  await run.sink.outcome(run.prompt('say remember this'));
  const pidFile = path.join(run.directory, 'pid');
  const runId = run.prompt(`run echo $$ > ${pidFile}; sleep 300`);
  const command = await until('the command', () => Number(readPid(pidFile)) || undefined);
  const { adapter, others } = processesOf(path.dirname(run.directory));
  process.kill(adapter, 'SIGKILL');
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  expect(run.sink.of('harness.exited')).toMatchObject([{ signal: 'SIGKILL' }]);
  await until('the end of all of it', () => ![command, ...others].some(isAlive));

  const next = run.prompt('say next');
  expect(await run.sink.outcome(next)).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'resumed']);
});

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // not written yet
  }
}

/** The processes that have `directory` in their environment: codex-acp, and those that it started. */
function processesOf(directory: string): { readonly adapter: number; readonly others: readonly number[] } {
  const pids = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && readProc(name, 'environ').includes(directory),
  );
  const isAdapter = (pid: string): boolean => readProc(pid, 'cmdline').includes('codex-acp');
  const adapter = pids.find(isAdapter);
  if (adapter === undefined) throw new Error('codex-acp does not run.');
  return { adapter: Number(adapter), others: pids.filter((pid) => pid !== adapter).map(Number) };
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}
