import { expect, test } from 'vitest';
import { runEndText } from '../../../src/cli/turn/run-end-text.ts';
import type { Run } from '../../../src/client/index.ts';
import { newAgentId, newConversationId, newMessageId, newRunId, newUserId } from '../../../src/kernel/ids.ts';

const agentId = newAgentId();
const run = {
  id: newRunId(),
  agentId,
  conversationId: newConversationId(),
  messageId: newMessageId(),
  startedBy: newUserId(),
  timeoutMs: 60_000,
  acceptedAt: 0,
  startedAt: 1,
  endedAt: 2,
  incarnation: null,
  cancelRequested: false,
  usage: null,
  whenBusy: 'fail',
} as const;

test('how a run ended is told in what was said of it, else in what its reason means', () => {
  const message = 'Ada has used all tokens. See `caisson quotas show`.';
  const ended: Run = { ...run, state: 'failed', reason: 'model_quota_exhausted', message };
  expect(runEndText(ended)).toMatch(
    /^failed \(model_quota_exhausted\): Ada has used all tokens\. See `.* quotas show`\.$/,
  );
  const failed: Run = { ...run, state: 'failed', reason: 'model_error', message: null };
  expect(runEndText(failed)).toBe('failed (model_error): the model service failed');
});
