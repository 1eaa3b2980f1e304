import type { RequestPermissionRequest, RequestPermissionResponse } from '@agentclientprotocol/sdk/unstable';
import type { Clock } from '../kernel/clock.ts';
import { CaissonError } from '../kernel/errors.ts';
import { newPermissionId, type PermissionId, type RunId } from '../kernel/ids.ts';
import type { PermissionAnswer } from '../wire/contract/guest-api.ts';
import type { HarnessEvent, PermissionOption, PermissionOutcome } from '../wire/contract/harness-event.ts';
import { journalBounds, mostPendingPermissions } from '../wire/contract/journal-bounds.ts';
import { toolContent } from './projection/tool-content.ts';
import { readJson, toolCallSchema } from './projection/updates.ts';

/** The turn that a request belongs to. */
export interface PermissionAsker {
  readonly runId: RunId;
  readonly timeoutMs: number;
  emit(event: HarnessEvent): void;
  /** Told of the end of each request, after its event. */
  onResolved(outcome: PermissionOutcome): void;
  /** Title and kind of a tool call, for a request that does not repeat them. */
  knownTool(toolCallId: string): { readonly title: string; readonly kind: string } | undefined;
}

interface Resolution {
  readonly outcome: PermissionOutcome;
  readonly optionId: string | null;
  readonly resolvedBy: string | null;
}

interface Pending {
  readonly runId: RunId;
  readonly options: readonly PermissionOption[];
  /** Records the end and answers the harness. */
  end(resolution: Resolution): void;
}

function unanswered(outcome: 'expired' | 'canceled'): Resolution {
  return { outcome, optionId: null, resolvedBy: null };
}

/**
 * The permission requests of a harness that wait for a person. Each ends exactly once: answered, expired, or canceled
 * with its turn or by the harness. Nothing is ever allowed but by an answer that names an option.
 */
export class PermissionDesk {
  readonly #pending = new Map<PermissionId, Pending>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Puts a request to the people. `signal` is the harness taking it back, or its end. */
  ask(
    request: RequestPermissionRequest,
    asker: PermissionAsker,
    signal: AbortSignal,
  ): Promise<RequestPermissionResponse> {
    if (signal.aborted) return Promise.resolve(refused);
    if (this.#pending.size >= mostPendingPermissions) {
      asker.emit({ type: 'harness.other', sessionUpdate: 'session/request_permission', update: readJson(request) });
      return Promise.resolve(refused);
    }
    const permissionId = newPermissionId();
    const { promise, resolve } = Promise.withResolvers<RequestPermissionResponse>();
    const options = offeredOptions(request);
    const cancelTimer = this.#clock.schedule(asker.timeoutMs, () => this.#end(permissionId, unanswered('expired')));
    const cancel = (): void => this.#end(permissionId, unanswered('canceled'));
    signal.addEventListener('abort', cancel, { once: true });
    this.#pending.set(permissionId, {
      runId: asker.runId,
      options,
      end(resolution) {
        cancelTimer();
        signal.removeEventListener('abort', cancel);
        asker.emit({ type: 'permission.resolved', permissionId, ...resolution });
        asker.onResolved(resolution.outcome);
        resolve(responseTo(resolution, options));
      },
    });
    asker.emit(requestedEvent(permissionId, request, asker, options, this.#clock.now() + asker.timeoutMs));
    return promise;
  }

  /** Throws PERMISSION_NOT_PENDING when the request has ended, BAD_REQUEST for an option that it does not have. */
  answer(permissionId: PermissionId, { optionId, resolvedBy }: PermissionAnswer): void {
    const pending = this.#pending.get(permissionId);
    if (pending === undefined) {
      throw new CaissonError('PERMISSION_NOT_PENDING', `The permission request ${permissionId} is not open.`);
    }
    const option = pending.options.find((option) => option.optionId === optionId);
    if (optionId !== null && option === undefined) {
      throw new CaissonError('BAD_REQUEST', `The permission request ${permissionId} has no option "${optionId}".`, {
        hint: `Choose one of: ${pending.options.map((option) => option.optionId).join(', ')}.`,
      });
    }
    const outcome = option !== undefined && option.kind.startsWith('allow') ? 'allowed' : 'rejected';
    this.#end(permissionId, { outcome, optionId, resolvedBy });
  }

  /** Ends the open requests of a run: its turn is being ended. */
  cancelRun(runId: RunId): void {
    for (const [permissionId, pending] of this.#pending) {
      if (pending.runId === runId) this.#end(permissionId, unanswered('canceled'));
    }
  }

  isAsking(runId: RunId): boolean {
    return [...this.#pending.values()].some((pending) => pending.runId === runId);
  }

  /** Taken off the desk before anything else, so that whoever comes second finds it gone. */
  #end(permissionId: PermissionId, resolution: Resolution): void {
    const pending = this.#pending.get(permissionId);
    this.#pending.delete(permissionId);
    pending?.end(resolution);
  }
}

const refused: RequestPermissionResponse = { outcome: { outcome: 'cancelled' } };

/** Those that can be answered with: the first ones whose ids are no longer than Caisson takes. */
function offeredOptions({ options }: RequestPermissionRequest): PermissionOption[] {
  return options
    .filter(({ optionId }) => optionId.length <= journalBounds.id)
    .slice(0, journalBounds.options)
    .map(({ optionId, name, kind }) => ({ optionId, name, kind }));
}

/** A refusal chooses a rejecting option, so that a harness that can go on does; without one the request is cancelled. */
function responseTo(resolution: Resolution, options: readonly PermissionOption[]): RequestPermissionResponse {
  const rejecting =
    options.find(({ kind }) => kind === 'reject_once') ?? options.find(({ kind }) => kind === 'reject_always');
  const optionId = resolution.optionId ?? (resolution.outcome === 'rejected' ? rejecting?.optionId : undefined);
  return optionId === undefined ? refused : { outcome: { outcome: 'selected', optionId } };
}

function requestedEvent(
  permissionId: PermissionId,
  request: RequestPermissionRequest,
  asker: PermissionAsker,
  options: PermissionOption[],
  expiresAt: number,
): HarnessEvent {
  const { toolCallId } = request.toolCall;
  const known = asker.knownTool(toolCallId);
  const call = toolCallSchema.safeParse(request.toolCall).data;
  return {
    type: 'permission.requested',
    permissionId,
    toolCallId,
    title: call?.title ?? known?.title ?? 'Tool call',
    kind: call?.kind ?? known?.kind ?? 'other',
    ...(call?.rawInput === undefined ? {} : { input: call.rawInput }),
    content: toolContent(call?.content ?? []),
    options,
    expiresAt,
  };
}
