import type { EgressEvent } from '../../agents/agent-service.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { AuditTrail } from './audit-trail.ts';

/** Records that nobody answered whether an agent may go to a host. Answers are calls of the API, and recorded as those. */
export function tellLapse(trail: Pick<AuditTrail, 'tell'>, agentId: AgentId, event: EgressEvent): void {
  if (event.type !== 'egress.resolved' || event.by !== null) return;
  const { requestId, host, outcome } = event;
  const details = { host, how: outcome };
  trail.tell({ action: 'egress.lapsed', agentId, targets: [agentId, requestId], details });
}
