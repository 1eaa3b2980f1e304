import { type Dimension, dimensionNames } from '../../../src/controlplane/quotas/dimension.ts';
import type { Limits } from '../../../src/controlplane/quotas/terms.ts';

/** Everything without a limit, but what is given. */
export function limitsOf(given: Partial<Limits>): Limits {
  const unlimited = Object.fromEntries(dimensionNames.map((name) => [name, null])) as Record<Dimension, null>;
  return { ...unlimited, ...given };
}
