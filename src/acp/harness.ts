import type { ConversationId, PermissionId, RunId } from '../kernel/ids.ts';
import type { GuestHealth, PermissionAnswer } from '../wire/contract/guest-api.ts';
import type { JournalBody } from '../wire/contract/journal-entry.ts';
import type { SessionSpec, TurnRequest, TurnStatus } from '../wire/contract/turn.ts';

/** Where a harness's doings go. The guest's journal is one. */
export interface HarnessSink {
  /**
   * Records `body` at once. Never refuses: the bound is kept by `room`, before the next line is read. A body that is larger
   * than the journal's contract allows is split or shortened.
   */
  append(body: JournalBody): void;
  /** Resolves when there is room for more; undefined where there is. The harness's output is not read before. */
  room(): Promise<void> | undefined;
}

/**
 * One harness program, spoken to over ACP. It is started on first need (or by `start`), restarted on the next need after
 * it exits, and owns all sessions and turns in it.
 *
 * Every turn that was accepted gets exactly one `turn.ended` in the sink, whatever happens to the program.
 */
export interface Harness {
  readonly name: string;
  readonly state: GuestHealth['harness']['state'];
  /** Of the program; undefined while none runs. It leads a session of its own. */
  readonly pid: number | undefined;
  /** Starts and initializes the program. Single-flight. Rejects with HARNESS_FAILED and a reason. */
  start(): Promise<void>;
  /** Opens the conversation's session ahead of its first turn. Rejects with HARNESS_FAILED and a reason. */
  openSession(spec: SessionSpec): Promise<void>;
  /** Ends the session for good, with its turn and what runs in it. A conversation without one is no error. */
  closeSession(conversationId: ConversationId): Promise<void>;
  /**
   * Accepts a turn and returns at once. Idempotent by `runId`, for the active runs and the last 1,000 that ended.
   *
   * @throws BAD_REQUEST for a content block that is no ACP block, INTERNAL while another turn of the conversation runs:
   *   the control plane sends one at a time.
   */
  startTurn(runId: RunId, request: TurnRequest): TurnStatus;
  turnStatus(runId: RunId): TurnStatus;
  /** Asks for the end of a turn, and of the commands that it left running. Returns at once; `turn.ended` follows within 10 s. */
  cancelTurn(runId: RunId): TurnStatus;
  /** Throws PERMISSION_NOT_PENDING when the request was answered or has expired, BAD_REQUEST for an option that it does not have. */
  answerPermission(permissionId: PermissionId, answer: PermissionAnswer): void;
  /** Ends the program and every turn (`failed`, `harness_exited`). The next need starts it again. */
  stop(): Promise<void>;
}
