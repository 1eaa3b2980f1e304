import type { Span } from '@opentelemetry/api';
import type { AgentEvent } from '../../../agents/event.ts';
import { endsRun } from '../../../agents/run-ending.ts';
import type { AgentId, RunId } from '../../../kernel/ids.ts';
import { endSpan, type Spans } from './spans.ts';

/** Runs whose spans are open. The oldest are ended early, as `forgotten`. */
const mostOpen = 4_096;

interface OpenRun {
  readonly agentId: AgentId;
  readonly span: Span;
}

const failures: ReadonlySet<string> = new Set(['failed', 'timed_out', 'interrupted']);

/**
 * A span of each run, from the moment at which it is stored to its end, as a part of the call that began it. Runs that an
 * earlier control plane began have none.
 */
export class RunSpans {
  readonly #spans: Spans;
  readonly #open = new Map<RunId, OpenRun>();

  constructor(spans: Spans) {
    this.#spans = spans;
  }

  event(event: AgentEvent): void {
    const { runId, type } = event;
    if (runId === null) return;
    if (type === 'run.queued') this.#begin(event, runId);
    else if (type === 'run.starting' || type === 'run.started') this.#open.get(runId)?.span.addEvent(type);
    else if (endsRun(event)) this.#end(event);
  }

  /** Does work as a part of the run; where the run has no span, as a part of nothing. */
  within<T>(runId: RunId, work: () => T): T {
    const run = this.#open.get(runId);
    return run === undefined ? work() : this.#spans.within(run.span, work);
  }

  of(runId: RunId | null | undefined): Span | null {
    return (runId && this.#open.get(runId)?.span) ?? null;
  }

  /** The only run of an agent that is under way; null where there is none, or more. */
  onlyOneOf(agentId: AgentId): Span | null {
    let only: Span | null = null;
    for (const run of this.#open.values()) {
      if (run.agentId !== agentId) continue;
      if (only !== null) return null;
      only = run.span;
    }
    return only;
  }

  /** Ends what is open. */
  close(): void {
    for (const { span } of this.#open.values()) span.end();
    this.#open.clear();
  }

  #begin({ agentId, conversationId }: AgentEvent, runId: RunId): void {
    const span = this.#spans.begin('invoke_agent', {
      attributes: {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.id': agentId,
        'gen_ai.conversation.id': conversationId ?? undefined,
        'caisson.run.id': runId,
      },
    });
    this.#open.set(runId, { agentId, span });
    if (this.#open.size <= mostOpen) return;
    for (const [oldest, { span: forgotten }] of this.#open) {
      this.#open.delete(oldest);
      endSpan(forgotten, 'forgotten');
      break;
    }
  }

  #end(event: AgentEvent & { readonly runId: RunId }): void {
    const run = this.#open.get(event.runId);
    if (run === undefined) return;
    this.#open.delete(event.runId);
    const state = event.type.slice('run.'.length);
    const reason = 'reason' in event ? event.reason : state;
    run.span.setAttributes({ 'caisson.run.state': state, 'caisson.run.reason': reason });
    endSpan(run.span, failures.has(state) ? reason : null);
  }
}
