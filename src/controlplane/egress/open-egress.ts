import type { EgressEvent } from '../../agents/agent-service.ts';
import type { AgentStore } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { SteadyClock } from '../../kernel/steady-clock.ts';
import type { AuditTrail } from '../audit/audit-trail.ts';
import { tellLapse } from '../audit/egress-lapse.ts';
import type { Config } from '../config.ts';
import type { Ledger } from '../quotas/ledger.ts';
import { ConnectionLog } from './connection-log.ts';
import { createEgressGateway, type EgressGateway } from './gateway.ts';
import { LedgerMeter } from './ledger-meter.ts';
import { DecisionLog } from './log/decision-log.ts';
import type { EgressLogStore } from './log/egress-log.ts';
import { EgressRules } from './policy/egress-rules.ts';
import type { EgressPolicyStore } from './policy/policy.ts';
import { RulePolicy } from './policy/rule-policy.ts';
import type { EgressRecord, EgressSecrets } from './ports.ts';
import { internalResolver, type Resolve, resolvePublic } from './resolve.ts';

interface EgressOptions {
  readonly settings: Config['egress'];
  readonly storage: {
    readonly agents: AgentStore;
    readonly egressPolicies: EgressPolicyStore;
    readonly egressLog: EgressLogStore;
  };
  readonly ledger: Ledger;
  readonly secrets: EgressSecrets;
  readonly ownPorts: () => ReadonlySet<number>;
  /** Default: as any program of this machine finds them. */
  readonly resolveInternal?: Resolve | undefined;
  /** Into the log of the agent. */
  readonly record: (agentId: AgentId, event: EgressEvent) => Promise<void>;
  readonly audit: Pick<AuditTrail, 'tell'>;
  /** Hears of every connection that is over. Must not throw. Default: nobody does. */
  readonly onConnection?: ((record: EgressRecord) => void) | undefined;
  readonly clock: Clock;
  /** By which rules expire. */
  readonly steadyClock: SteadyClock;
  readonly logger: Logger;
}

/** The way out of sandboxes, and who says where it leads. */
export interface Egress extends AsyncDisposable {
  readonly rules: EgressRules;
  readonly policy: RulePolicy;
  readonly gateway: EgressGateway;
}

/** Opens it, and puts what an earlier control plane had open when it was killed into the log. */
export async function openEgress(options: EgressOptions): Promise<Egress> {
  const { settings, storage, ledger, secrets, ownPorts, record, audit, onConnection, clock, logger } = options;
  const { agents, egressPolicies, egressLog } = storage;
  const left = await egressLog.addLeftOpen();
  if (left > 0)
    logger.warn({ connections: left }, 'an earlier control plane was killed with connections of sandboxes open');
  const opened = new AsyncDisposableStack();
  const rules = opened.use(
    new EgressRules({ store: egressPolicies, agents, defaults: settings, clock: options.steadyClock, logger }),
  );
  rules.start();
  const policy = opened.use(
    new RulePolicy({
      rules,
      holdMs: settings.askTimeoutMs,
      clock,
      logger,
      record: async (agentId, event) => {
        tellLapse(audit, agentId, event);
        await record(agentId, event);
      },
    }),
  );
  const decisions = opened.use(new DecisionLog({ store: egressLog, clock, logger, record }));
  const connections = opened.use(new ConnectionLog(logger, clock));
  const meter = opened.use(new LedgerMeter({ ledger, findAgent: (id) => agents.findAgent(id), clock, logger }));
  const gateway = opened.use(
    createEgressGateway({
      policy,
      meter,
      log: {
        follow: (connection) => decisions.follow(connection),
        record(entry) {
          connections.record(entry);
          decisions.record(entry);
          onConnection?.(entry);
        },
      },
      secrets,
      ownPorts,
      limits: { bytesPerSecond: settings.bytesPerSecond },
      resolve: { public: resolvePublic, internal: options.resolveInternal ?? internalResolver() },
    }),
  );
  return { rules, policy, gateway, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
