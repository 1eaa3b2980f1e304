import type { ModelUsage } from '../../src/controlplane/model-gateway/model-usage.ts';
import { newAgentId, newUserId } from '../../src/kernel/ids.ts';

/** A call of a model that was answered, as it is kept. */
export function aModelUsage(of: Partial<ModelUsage> = {}): ModelUsage {
  return {
    at: Date.UTC(2026, 10, 21),
    userId: newUserId(),
    agentId: newAgentId(),
    conversationId: null,
    runId: null,
    upstream: 'main',
    api: 'responses',
    model: 'gpt-5.5',
    outcome: 'answered',
    inputTokens: 50,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 5,
    reasoningTokens: 0,
    costMicros: 0,
    isEstimated: false,
    priceVersion: '2026-11-21',
    ms: 8,
    ...of,
  };
}
