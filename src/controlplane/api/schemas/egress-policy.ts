import { z } from 'zod';
import { agentIdSchema, egressRuleIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';
import { egressModes, ruleEffects } from '../../egress/policy/policy.ts';
import { presetNames } from '../../egress/policy/presets.ts';
import { shownAsItIs } from './display-name.ts';

export const egressModeSchema = z.enum(egressModes);

/** Why something is allowed or denied, for whoever reads it later. */
export const whySchema = shownAsItIs(z.string().trim().min(1).max(500));

const longestLifeMs = 3_650 * 86_400_000;

const portsSchema = z.union([z.literal('any'), z.array(portSchema).min(1).max(32).readonly()]);

/** A rule as it is added: of a host, or of a preset. */
export const newEgressRuleSchema = z.strictObject({
  effect: z.enum(ruleEffects).default('allow'),
  /** `example.com`, `*.example.com` for the names under it, `*` for every host (to deny); `:22` behind it for one port. */
  host: z.string().min(1).max(300).optional(),
  /** Default: 80 and 443; every port where it denies. */
  ports: portsSchema.optional(),
  preset: z.enum(presetNames).optional(),
  /** Milliseconds from now, at most ten years. Default: for ever. */
  expiresIn: z.int().min(1_000).max(longestLifeMs).optional(),
  why: whySchema.optional(),
});

const subjectFields = {
  /** Null where it names a preset. */
  host: z.string().nullable(),
  ports: portsSchema.nullable(),
  preset: z.string().nullable(),
};

/** A rule as it stands. Times are milliseconds since the epoch. */
export const egressRuleSchema = z.object({
  id: egressRuleIdSchema,
  effect: z.enum(ruleEffects),
  ...subjectFields,
  addedBy: userIdSchema,
  addedByName: z.string(),
  addedAt: z.int(),
  why: z.string().nullable(),
  expiresAt: z.int().nullable(),
  /** It says nothing any more. */
  expired: z.boolean(),
});

export const egressPolicySchema = z.object({
  /** Null: the default. */
  mode: egressModeSchema.nullable(),
  /**
   * The mode that an agent acts in, or the widest that agents under a ceiling or of everyone can have, and whose it is where that is
   * narrower than its own. Null: of a user, which has none.
   */
  effective: z.object({ mode: egressModeSchema, source: z.enum(['operator', 'ceiling', 'user', 'agent']) }).nullable(),
  rules: z.array(egressRuleSchema).readonly(),
  /** One more with every change. */
  version: z.int(),
  changedBy: userIdSchema.nullable(),
  changedByName: z.string().nullable(),
  changedAt: z.int().nullable(),
  why: z.string().nullable(),
});

/** Whose policy it is, with further fields: of an agent, of everyone, what limits a user's agents, what a user always allows. */
export function ofPolicy<Fields extends z.ZodRawShape>(fields: Fields) {
  return z.union([
    z.strictObject({ agentId: agentIdSchema, ...fields }),
    z.strictObject({ scope: z.literal('operator'), ...fields }),
    z.strictObject({ scope: z.literal('ceiling'), userId: userIdSchema, ...fields }),
    z.strictObject({
      scope: z.literal('user'),
      /** Default: the caller. */
      userId: userIdSchema.optional(),
      ...fields,
    }),
  ]);
}
