import type { AgentLimits } from '../../agents/agent.ts';
import type { Domain } from '../../agents/domain.ts';
import type { AuditService } from '../audit/audit-service.ts';
import type { Recorder } from '../audit/audited.ts';
import type { Admin } from '../admin/open-admin.ts';
import type { Access } from '../auth/access.ts';
import type { KeyService } from '../auth/key-service.ts';
import type { SharingService } from '../auth/sharing-service.ts';
import type { UserService } from '../auth/user-service.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import type { LoginService } from '../login/login-service.ts';
import type { SessionService } from '../login/session-service.ts';
import type { WebOrigin } from '../login/web-origin.ts';
import type { ModelUsageStore } from '../model-gateway/model-usage.ts';
import type { EgressLogStore } from '../egress/log/egress-log.ts';
import type { EgressRules } from '../egress/policy/egress-rules.ts';
import type { RulePolicy } from '../egress/policy/rule-policy.ts';
import type { HostSecrets } from '../egress/secrets/host-secrets.ts';
import type { PreviewHosts } from '../previews/preview-hosts.ts';
import type { PreviewService } from '../previews/preview-service.ts';
import type { ObservedCall } from '../observability/metrics.ts';
import type { QuotaDesk } from '../quotas/quota-desk.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import type { Workspaces } from '../workspace/workspaces.ts';
import type { OpenCalls } from './open-calls.ts';

/** What this control plane is, for people and clients. */
export interface About {
  readonly version: string;
  readonly provider: string;
  /** The first is the default of a new agent. */
  readonly harnesses: readonly string[];
  readonly model: {
    readonly name: string;
    /** Whether the demo model answers, which follows a script. */
    readonly demo: boolean;
  };
}

/** What the procedures work with. */
export interface ApiServices {
  readonly domain: Pick<Domain, 'agents' | 'conversations' | 'runs' | 'events' | 'permissions'>;
  readonly access: Access;
  readonly workspaces: Workspaces;
  readonly previews: PreviewService;
  readonly previewHosts: PreviewHosts;
  readonly modelUsage: Pick<ModelUsageStore, 'totals' | 'listCalls'>;
  readonly keys: KeyService;
  readonly users: UserService;
  readonly sessions: SessionService;
  readonly logins: LoginService;
  /** Resolves when all that is stored outlives a power cut: before who signs in or out is answered. */
  readonly flushed: () => Promise<void>;
  readonly webOrigin: WebOrigin;
  readonly sharing: SharingService;
  readonly quotas: { readonly desk: QuotaDesk; readonly rates: RequestRates; readonly disks: DiskBook };
  readonly egressRules: EgressRules;
  readonly egressPolicy: Pick<RulePolicy, 'pending' | 'findPending' | 'answer'>;
  readonly egressLog: Pick<EgressLogStore, 'listLog' | 'listUsage'>;
  readonly hostSecrets: Pick<HostSecrets, 'set' | 'list' | 'remove'>;
  /** Where every mutation leaves its record; it is told its caller when both outlive a power cut. */
  readonly recorder: Recorder;
  readonly audit: AuditService;
  readonly about: About;
  /** For administrators and auditors. */
  readonly admin: Admin;
  /** What is open at the API. */
  readonly openCalls: () => { readonly calls: number; readonly subscriptions: number; readonly transfers: number };
  /** The default and the ceiling of an agent's sandbox. */
  readonly sandboxLimits: AgentLimits;
  readonly subscriptions: OpenCalls;
  /** Is told of every call that is over, but subscriptions. */
  readonly observeCall: (call: ObservedCall) => void;
  /** Aborts, with a DRAINING error, when the control plane shuts down. */
  readonly draining: AbortSignal;
}
