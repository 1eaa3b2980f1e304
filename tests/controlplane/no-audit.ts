import type { Recorder } from '../../src/controlplane/audit/audited.ts';

const recorder: Recorder = {
  begin: async () => ({ end: async () => undefined }),
  beginInSandbox: async () => ({ end: () => undefined }),
  refused: () => undefined,
};

/** For servers of a part, whose records nobody reads. */
export const noAudit = { recorder, addressOf: () => '127.0.0.1' } as const;
