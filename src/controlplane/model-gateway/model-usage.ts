import type { Page, PageRequest } from '../../agents/ports.ts';
import type { AgentId, ConversationId, RunId, UserId } from '../../kernel/ids.ts';
import type { ModelApi } from './apis/model-api.ts';
import type { CallRecord } from './call-record.ts';

/** One model call that took something, as it is kept. It outlives its agent. */
export interface ModelUsage {
  /** Milliseconds since the epoch: when it was over. */
  readonly at: number;
  readonly userId: UserId;
  readonly agentId: AgentId;
  readonly conversationId: ConversationId | null;
  readonly runId: RunId | null;
  /** The service that was asked, by its name in the settings. */
  readonly upstream: string;
  readonly api: ModelApi['name'];
  /** As the service was asked for it. */
  readonly model: string;
  readonly outcome: CallRecord['outcome'];
  /** All input, with what came from the cache and went into it. */
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  /** All output, with the reasoning. */
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  /** Millionths of a US dollar. */
  readonly costMicros: number;
  /** The service did not tell its usage: the tokens are counted by the size of what passed. */
  readonly isEstimated: boolean;
  /** Version of the price table; `default` where it does not have the model, `demo` of the demo model. */
  readonly priceVersion: string;
  /** Milliseconds from the request to the end. */
  readonly ms: number;
}

/** Where calls are kept. */
export interface UsageSink {
  /** Keeps all or none. */
  add(calls: readonly ModelUsage[]): Promise<void>;
}

/** By what sums can be told apart. */
export const usageGroups = ['day', 'user', 'agent', 'model'] as const;
export type UsageGroup = (typeof usageGroups)[number];

/** Sums of calls. What they are not grouped by is null. */
export interface UsageTotal extends Pick<
  ModelUsage,
  'inputTokens' | 'cachedInputTokens' | 'cacheWriteTokens' | 'outputTokens' | 'reasoningTokens' | 'costMicros'
> {
  /** In UTC, as `2026-01-31`. */
  readonly day: string | null;
  readonly userId: UserId | null;
  readonly agentId: AgentId | null;
  readonly model: string | null;
  readonly calls: number;
  /** Of these, those whose tokens the service did not tell. */
  readonly estimatedCalls: number;
  /** Of these, those whose model the price table does not have. */
  readonly unpricedCalls: number;
}

export interface UsageTotalsFilter {
  /** First and last day, in UTC, as `2026-01-31`. */
  readonly from: string;
  readonly to: string;
  /** Null: of everyone. */
  readonly userId: UserId | null;
  /** Null: of all. */
  readonly agentId: AgentId | null;
  readonly groupBy: readonly UsageGroup[];
}

export interface UsageCallsFilter {
  readonly agentId: AgentId;
  /** Null: of all; so is the next one. */
  readonly conversationId: ConversationId | null;
  readonly runId: RunId | null;
}

/** The calls that were made. The newest million are kept one by one; their sums for the last 400 days on which there were any. */
export interface ModelUsageStore extends UsageSink {
  /** At most 10,000 rows: the latest days first, then those that cost most. */
  totals(filter: UsageTotalsFilter): Promise<readonly UsageTotal[]>;
  /** Newest first. */
  listCalls(filter: UsageCallsFilter, page: PageRequest): Promise<Page<ModelUsage>>;
}

/** What is kept of a call; undefined for one that took nothing. */
export function usageOf(record: CallRecord, at: number): ModelUsage | undefined {
  const { caller, charge, upstream, model, priceVersion } = record;
  if (caller === null || charge === null || upstream === null || model === null || priceVersion === null) return;
  return {
    at,
    userId: caller.userId,
    agentId: caller.agentId,
    conversationId: caller.conversationId,
    runId: caller.runId,
    upstream,
    api: record.api,
    model,
    outcome: record.outcome,
    inputTokens: charge.counts.input,
    cachedInputTokens: charge.counts.cachedInput,
    cacheWriteTokens: charge.counts.cacheWrite,
    outputTokens: charge.counts.output,
    reasoningTokens: charge.counts.reasoning,
    costMicros: charge.costMicros,
    isEstimated: charge.isEstimated,
    priceVersion,
    ms: record.ms,
  };
}
