import { createRequire } from 'node:module';
import { expect, test, vi } from 'vitest';
import { Metrics } from '../../../src/controlplane/observability/metrics.ts';

const fiftyYearsMs = 50 * 365 * 24 * 3_600_000;

/** What the library keeps quantiles in. A window that turns makes a new one, and each is reset as it is made. */
const { TDigest } = createRequire(createRequire(import.meta.url).resolve('@prometheus-io/client'))('tdigest') as {
  readonly TDigest: { readonly prototype: { reset(): void } };
};

test('a clock that comes right by 50 years turns no window of the metrics', async () => {
  using reset = vi.spyOn(TDigest.prototype, 'reset');
  const metrics = new Metrics({
    activeRuns: async () => [],
    runningSandboxes: async () => 0,
    attachedSandboxes: () => 0,
    disks: () => ({ usedBytes: 0, states: {} }),
    freeBytes: async () => ({}),
    freeInodes: async () => ({}),
    modelServices: () => ({}),
    audit: () => ({ isFailing: false, waiting: 0 }),
    droppedLogLines: () => 0,
  });
  const windows = new Set<unknown>(reset.mock.contexts);
  expect(windows.size).toBe(1);
  const now = Date.now();
  using _ = vi.spyOn(Date, 'now').mockImplementation(() => now + fiftyYearsMs);
  reset.mockImplementation(function (this: unknown) {
    if (!windows.has(this)) throw new Error('A window was turned.'); // the first of some 130 million
  });
  expect((await metrics.text()).body).toContain('nodejs_eventloop_utilization_summary_count');
});
