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

test('a run that a budget of ours ended does not only send its reader to the service', () => {
  const words = 'Quota exceeded. Check your plan and billing details.'; // Codex's, of a quota of ours too
  const ended: Run = { ...run, state: 'failed', reason: 'model_quota_exhausted', message: words };
  expect(runEndText(ended)).toContain(`${words} Whether it is one of Caisson: `);
  expect(runEndText(ended)).toMatch(new RegExp(`quotas show ${agentId}$`));
  const failed: Run = { ...run, state: 'failed', reason: 'model_error', message: null };
  expect(runEndText(failed)).toBe('failed (model_error): the model service failed');
});
