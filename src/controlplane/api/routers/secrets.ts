import { z } from 'zod';
import { CaissonError } from '../../../kernel/errors.ts';
import { type AgentId, agentIdSchema, secretIdSchema } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';
import type { Demand } from '../../auth/access.ts';
import type { ShownSecret } from '../../egress/secrets/host-secrets.ts';
import { checkedSecret } from '../../egress/secrets/new-secret.ts';
import type { SecretScope } from '../../egress/secrets/secret.ts';
import { secretFormSchema, secretSchema } from '../schemas/secret.ts';
import type { ApiServices } from '../services.ts';
import { procedure, router } from '../trpc.ts';

export const secretsRouter = router({
  /**
   * Gives a host a secret that the gateway adds to requests of the agent, or of all agents of the caller. It takes the place of
   * one for the same host and port, whose connections are cut. Nobody reads it again: not the caller, and not the sandbox. It
   * allows nothing by itself: the policy of egress does.
   */
  set: procedure
    .meta({ needs: 'own' })
    .input(
      z.strictObject({
        /** Without: for all agents of the caller. */
        agentId: agentIdSchema.optional(),
        /** Exactly this one. */
        host: z.string().min(1).max(300),
        port: portSchema.default(443),
        form: secretFormSchema,
        /** 8 to 8,192 printable characters. */
        value: z.string().max(10_000),
      }),
    )
    .output(secretSchema)
    .mutation(async ({ ctx: { demand, principal, services }, input: { agentId, ...input } }) => {
      const scope = await secretScope(services, demand, agentId);
      const secret = await services.hostSecrets.set(scope, { ...checkedSecret(input), by: principal.userId });
      return await secretView(services, secret);
    }),

  /** The secrets of an agent, or of the caller for all its agents, without their values, in the order in which they were set. */
  list: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema.optional() }).prefault({}))
    .output(z.object({ items: z.array(secretSchema).readonly() }))
    .query(async ({ ctx: { demand, services }, input: { agentId } }) => {
      const scope = await secretScope(services, demand, agentId);
      const items: z.input<typeof secretSchema>[] = [];
      for (const secret of await services.hostSecrets.list(scope)) items.push(await secretView(services, secret));
      return { items };
    }),

  /** Takes a secret back. Connections that carry it are cut. */
  remove: procedure
    .meta({ needs: 'own' })
    .input(z.strictObject({ agentId: agentIdSchema.optional(), secretId: secretIdSchema }))
    .output(z.object({}))
    .mutation(async ({ ctx: { demand, services }, input: { agentId, secretId } }) => {
      await services.hostSecrets.remove(await secretScope(services, demand, agentId), secretId);
      return {};
    }),
});

/** Of an agent, as far as the call needs; or of the caller. Errors: AGENT_NOT_FOUND; FORBIDDEN. */
async function secretScope(
  { access }: Pick<ApiServices, 'access'>,
  demand: Demand,
  agentId: AgentId | undefined,
): Promise<SecretScope> {
  if (agentId !== undefined) {
    await access.agent(demand, agentId);
    return { kind: 'agent', agentId };
  }
  const { userId, agents } = demand.principal;
  access.permit(demand);
  if (agents !== null) throw new CaissonError('FORBIDDEN', 'The API key is for named agents only: name one.');
  return { kind: 'user', userId };
}

async function secretView(
  { keys }: Pick<ApiServices, 'keys'>,
  { scope, ...secret }: ShownSecret,
): Promise<z.input<typeof secretSchema>> {
  return {
    ...secret,
    agentId: scope.kind === 'agent' ? scope.agentId : null,
    createdByName: (await keys.userName(secret.createdBy)) ?? secret.createdBy,
  };
}
