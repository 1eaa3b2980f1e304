import type { Harness, HarnessSink } from '../../src/acp/harness.ts';
import { CaissonError } from '../../src/kernel/errors.ts';
import type { ConversationId, PermissionId, RunId } from '../../src/kernel/ids.ts';
import type { PermissionAnswer } from '../../src/wire/contract/guest-api.ts';
import type { SessionSpec, TurnRequest, TurnStatus } from '../../src/wire/contract/turn.ts';

/** Keeps what it was asked; the test plays the agent through `sink`. */
export class FakeHarness implements Harness {
  readonly name = 'fake';
  readonly pid = undefined;
  state: Harness['state'] = 'stopped';
  readonly opened: SessionSpec[] = [];
  readonly closed: ConversationId[] = [];
  readonly answers: { permissionId: PermissionId; answer: PermissionAnswer }[] = [];
  readonly turns = new Map<RunId, { request: TurnRequest; state: 'active' | 'ended' }>();
  readonly sink: HarnessSink;

  constructor(sink: HarnessSink) {
    this.sink = sink;
  }

  start(): Promise<void> {
    this.state = 'ready';
    return Promise.resolve();
  }

  openSession(spec: SessionSpec): Promise<void> {
    this.opened.push(spec);
    return Promise.resolve();
  }

  closeSession(conversationId: ConversationId): Promise<void> {
    this.closed.push(conversationId);
    return Promise.resolve();
  }

  startTurn(runId: RunId, request: TurnRequest): TurnStatus {
    if (!this.turns.has(runId)) {
      this.turns.set(runId, { request, state: 'active' });
      this.sink.append({ type: 'turn.started', runId, conversationId: request.session.conversationId });
    }
    return this.turnStatus(runId);
  }

  turnStatus(runId: RunId): TurnStatus {
    return { runId, state: this.turns.get(runId)?.state ?? 'unknown' };
  }

  cancelTurn(runId: RunId): TurnStatus {
    const turn = this.turns.get(runId);
    if (turn?.state === 'active') {
      turn.state = 'ended';
      this.sink.append({
        type: 'turn.ended',
        runId,
        conversationId: turn.request.session.conversationId,
        outcome: { state: 'canceled', reason: 'canceled_by_user', message: 'Canceled.' },
      });
    }
    return this.turnStatus(runId);
  }

  answerPermission(permissionId: PermissionId, answer: PermissionAnswer): void {
    if (this.answers.some((given) => given.permissionId === permissionId)) {
      throw new CaissonError('PERMISSION_NOT_PENDING', 'It was answered before.');
    }
    this.answers.push({ permissionId, answer });
  }

  stop(): Promise<void> {
    this.state = 'stopped';
    this.sink.append({ type: 'harness.exited', exitCode: 0, signal: null, stderr: '' });
    return Promise.resolve();
  }
}
