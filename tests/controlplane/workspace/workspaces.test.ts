import { beforeAll, afterAll, expect, test } from 'vitest';
import { Workspaces } from '../../../src/controlplane/workspace/workspaces.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { aPrincipal } from '../principals.ts';
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

const disks = { requireRoom: async () => undefined, requireNotOver: async () => undefined };

test.each(['open', 'openToWrite', 'openToRun', 'find', 'running'] as const)(
  'whoever has left before the sandbox is there, has nothing done by %s',
  async (how) => {
    const caller = new AbortController();
    const left = new CaissonError('ABORTED', 'The caller has left.');
    const start = (): Promise<never> => {
      caller.abort(left);
      return Promise.resolve('a guest' as never);
    };
    const grant = () => Promise.resolve({ agent: 'an agent' as never, level: 'own' } as const);
    const workspaces = new Workspaces({ access: { grant }, guests: { ensureClient: start, findClient: start }, disks });
    await expect(workspaces[how]({ principal: aPrincipal(), need: 'use' }, newAgentId(), caller.signal)).rejects.toBe(
      left,
    );
  },
);
