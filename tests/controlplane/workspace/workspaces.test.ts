import { beforeAll, afterAll, expect, test } from 'vitest';
import { startWorkspace, type RunningWorkspace } from './running-workspace.ts';

let workspace: RunningWorkspace;
beforeAll(async () => {
  workspace = await startWorkspace();
});
afterAll(() => workspace[Symbol.asyncDispose]());

test('an agent is created with its sandbox up, and a stranger does not see it', async () => {
  expect(workspace.agent.sandbox.state).toBe('running');
  await expect(workspace.stranger.agents.get.query({ agentId: workspace.agent.id })).rejects.toMatchObject({
    code: 'AGENT_NOT_FOUND',
  });
});
