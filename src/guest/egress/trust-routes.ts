import { trustPath, trustSchema } from '../../wire/contract/egress.ts';
import { answerJson, parseInput, readJsonBody, type Route } from '../inward-call.ts';
import type { TrustStore } from './trust-store.ts';

/** What the control plane tells of certificate authorities (`contract/egress.ts`). */
export function trustRoutes(trust: TrustStore): readonly Route[] {
  return [
    {
      method: 'PUT',
      path: trustPath,
      handle: async ({ stream }) => {
        const { extraAuthorities } = parseInput(trustSchema, await readJsonBody(stream), 'trust');
        await trust.replaceExtra(extraAuthorities);
        answerJson(stream, {});
      },
    },
  ];
}
