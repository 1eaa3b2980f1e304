import type { SecretUseLog } from '../egress/secrets/secret-uses.ts';
import type { AuditTrail } from './audit-trail.ts';

/** Records each use of a secret that it hears of: by which agent, which secret, and where. */
export function auditedSecretUses(trail: Pick<AuditTrail, 'tell'>): SecretUseLog {
  return {
    used({ agentId, secret: { id, scope, host, port } }) {
      const details = { host, port, of: scope.kind };
      trail.tell({ action: 'secret.used', agentId, targets: [agentId, id], details });
    },
  };
}
