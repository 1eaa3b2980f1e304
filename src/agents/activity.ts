import type { AgentId } from '../kernel/ids.ts';
import type { Agent, AgentActivity } from './agent.ts';
import type { Record } from './event-log.ts';
import type { AgentTransaction } from './ports.ts';
import type { Run } from './run.ts';

/** What an agent is doing, derived from its runs and its sandbox; never stored. */
export function activityOf(agent: Pick<Agent, 'sandbox'>, activeRuns: readonly Pick<Run, 'state'>[]): AgentActivity {
  return activityOfRuns(activeRuns) ?? (agent.sandbox.state === 'failed' ? 'error' : 'idle');
}

/** Undefined where there is none: then the sandbox decides. */
function activityOfRuns(activeRuns: readonly Pick<Run, 'state'>[]): AgentActivity | undefined {
  if (activeRuns.some((run) => run.state === 'awaiting_permission')) return 'awaiting_permission';
  return activeRuns.length > 0 ? 'thinking' : undefined;
}

/** Runs `change` and records `agent.status` if it changed what the agent is doing. */
export async function recordingActivity<T>(
  scope: { readonly tx: AgentTransaction; readonly record: Record; readonly agentId: AgentId; readonly now: number },
  change: () => Promise<T>,
): Promise<T> {
  const before = await currentActivity(scope);
  const result = await change();
  const status = await currentActivity(scope);
  if (status !== undefined && status !== before) {
    scope.record({ conversationId: null, runId: null, at: scope.now, data: { type: 'agent.status', status } });
  }
  return result;
}

async function currentActivity(scope: {
  readonly tx: AgentTransaction;
  readonly agentId: AgentId;
}): Promise<AgentActivity | undefined> {
  const busy = activityOfRuns(await scope.tx.listActiveRuns({ agentId: scope.agentId }));
  if (busy !== undefined) return busy;
  const agent = await scope.tx.findAgent(scope.agentId);
  return agent && activityOf(agent, []);
}
