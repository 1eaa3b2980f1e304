import { CaissonError } from '../kernel/errors.ts';
import type { SandboxProvider } from '../sandbox-providers/contract/index.ts';
import type { Config } from './config.ts';

/**
 * A provider that cannot keep a sandbox sealed and within its limits is refused, whoever brings it.
 *
 * @throws CaissonError CAPABILITY_UNSUPPORTED.
 */
export function requireWalls({ name, capabilities }: SandboxProvider, { sandbox, quotas }: Config): void {
  const isDiskLimited = sandbox.limits.diskBytes !== null || quotas.defaultLimits.disk !== null;
  const needed = isDiskLimited
    ? (['sealedNetwork', 'limits', 'disk'] as const)
    : (['sealedNetwork', 'limits'] as const);
  const missing = needed.filter((capability) => !capabilities[capability]);
  if (missing.length === 0) return;
  throw new CaissonError('CAPABILITY_UNSUPPORTED', `The sandbox provider ${name} lacks: ${missing.join(', ')}.`, {
    hint: 'Choose a provider whose sandboxes are sealed and limited. One that cannot measure a disk needs CAISSON_SANDBOX_DISK=none.',
    details: { provider: name, missing },
  });
}
