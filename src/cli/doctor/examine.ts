import { examineControlPlane } from './control-plane-findings.ts';
import type { Finding } from './finding.ts';

/**
 * Looks at the control plane that the environment names, and at this machine unless that control plane is elsewhere: what
 * sandboxes, the model and the disk need is a matter of the machine that the control plane runs on.
 */
export async function examine(environment: Readonly<Record<string, string | undefined>>): Promise<Finding[]> {
  const { findings, isElsewhere, ...known } = await examineControlPlane(environment);
  const node: Finding = { what: 'Node', state: 'ok', says: process.version };
  if (isElsewhere) return [node, ...findings];
  const { examineMachine } = await import('./machine-findings.ts');
  return [node, ...findings, ...(await examineMachine(environment, known))];
}
