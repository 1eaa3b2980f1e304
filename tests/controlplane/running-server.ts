import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDomain, type Domain } from '../../src/agents/domain.ts';
import type { DomainSettings } from '../../src/agents/settings.ts';
import { tellLapse } from '../../src/controlplane/audit/egress-lapse.ts';
import { openAudit } from '../../src/controlplane/audit/open-audit.ts';
import { auditedSecretUses } from '../../src/controlplane/audit/secret-use.ts';
import { Access } from '../../src/controlplane/auth/access.ts';
import type { Principal, Role } from '../../src/controlplane/auth/identity.ts';
import { type KeyRequest, KeyService } from '../../src/controlplane/auth/key-service.ts';
import { SharingService } from '../../src/controlplane/auth/sharing-service.ts';
import { UserService } from '../../src/controlplane/auth/user-service.ts';
import { KnownSandboxes } from '../../src/controlplane/admin/known-sandboxes.ts';
import { SystemOverview } from '../../src/controlplane/admin/overview.ts';
import { HostDisk } from '../../src/controlplane/disk/host-disk.ts';
import type { Config } from '../../src/controlplane/config.ts';
import { openLogin } from '../../src/controlplane/login/open-login.ts';
import { SessionEnds } from '../../src/controlplane/login/session-ends.ts';
import { sessionLogOf } from '../../src/controlplane/login/session-log.ts';
import { Metrics } from '../../src/controlplane/observability/metrics.ts';
import { EgressRules } from '../../src/controlplane/egress/policy/egress-rules.ts';
import { RulePolicy } from '../../src/controlplane/egress/policy/rule-policy.ts';
import { PreviewHosts } from '../../src/controlplane/previews/preview-hosts.ts';
import { CookieSigner } from '../../src/controlplane/previews/preview-secrets.ts';
import { PreviewService } from '../../src/controlplane/previews/preview-service.ts';
import { type OpenQuotas, openQuotas } from '../../src/controlplane/quotas/open-quotas.ts';
import { type Limits, noLimits } from '../../src/controlplane/quotas/terms.ts';
import { createServer, type ServerOptions } from '../../src/controlplane/server.ts';
import { Workspaces } from '../../src/controlplane/workspace/workspaces.ts';
import { openSecrets } from '../../src/controlplane/egress/secrets/open-secrets.ts';
import { openStorage, type Storage } from '../../src/controlplane/storage/open-storage.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { SteadyClock } from '../../src/kernel/steady-clock.ts';
import { CaissonError, type ErrorBody, readErrorBody } from '../../src/kernel/errors.ts';
import { ScriptedSandboxes, settings as domainSettings } from '../agents/domain-fixture.ts';
import { type LoggedLine, recordingLogger } from './recording-logger.ts';

export interface Caller {
  readonly secret: string;
  readonly principal: Principal;
}

/** What an API call was answered. */
export interface Answer {
  readonly status: number;
  /** `result.data` of a call that succeeded. */
  readonly data: unknown;
  /** Our part of the error of one that did not. */
  readonly error: ErrorBody | undefined;
  readonly text: string;
}

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  readonly domain: Domain;
  readonly storage: Storage;
  readonly sandboxes: ScriptedSandboxes;
  readonly keys: KeyService;
  /** A key of a user, made by hand. */
  caller(user: string, role: Role, limits?: Partial<KeyRequest>): Promise<Caller>;
  readonly quotas: OpenQuotas;
  readonly metrics: Metrics;
  readonly egressPolicy: RulePolicy;
  readonly admin: Caller;
  readonly alice: Caller;
  readonly bob: Caller;
  /** Lines that the server logged, at every level. */
  readonly log: LoggedLine[];
  query(caller: Caller | null, path: string, input?: unknown): Promise<Answer>;
  mutate(caller: Caller | null, path: string, input?: unknown): Promise<Answer>;
  /** Opens a subscription: `events.subscribe`, unless `path` says another. */
  subscribe(caller: Caller | null, input: unknown, init?: RequestInit, path?: string): Promise<Response>;
  readonly databaseFile: string;
  /** As the audit does by itself once a minute. */
  recordCounts(): void;
  close(): Promise<void>;
}

interface Overrides extends Partial<Omit<ServerOptions, 'settings' | 'services' | 'logger'>> {
  readonly settings?: Partial<ServerOptions['settings']>;
  readonly domain?: Partial<DomainSettings>;
  /** Default: scripted sandboxes have no inside. */
  readonly guests?: ConstructorParameters<typeof Workspaces>[0]['guests'];
  /** Of users without a plan. Default: two agents, and nothing else is limited. */
  readonly limits?: Partial<Limits>;
  readonly requestsPerKey?: number;
  readonly clock?: Clock;
  readonly login?: Partial<Config['login']>;
}

/** An engine that has no sandbox at all. */
const noEngine = {
  name: 'scripted',
  check: async () => ({ description: 'no engine' }),
  list: async () => [],
  find: async () => undefined,
  stop: async () => undefined,
  destroy: async () => undefined,
  load: async () => undefined,
  diskSpace: async () => undefined,
};

const defaultLogin: Config['login'] = {
  publicUrl: null,
  sessionIdleMs: 3_600_000,
  sessionLifeMs: 24 * 3_600_000,
  oidc: null,
  openDomains: [],
};

const noGuests = {
  async ensureClient(): Promise<never> {
    throw new CaissonError('SANDBOX_START_FAILED', 'There is no sandbox here.');
  },
  findClient: async () => undefined,
};

/** The real server on a free port of loopback, with a real store and domain; only the sandboxes are scripted. */
export async function startServer(overrides: Overrides = {}): Promise<RunningServer> {
  await using undo = new AsyncDisposableStack();
  const {
    settings,
    domain: changedDomain,
    guests = noGuests,
    limits,
    requestsPerKey = null,
    clock = systemClock,
    login: changedLogin,
    ...changed
  } = overrides;
  const directory = await mkdtemp(join(tmpdir(), 'caisson-server-'));
  undo.defer(() => rm(directory, { recursive: true }));
  const storage = await openStorage(directory);
  undo.defer(() => storage.close());
  const log: RunningServer['log'] = [];
  const logger = recordingLogger(log);
  const audit = undo.use(
    await openAudit({
      store: storage.audit,
      flushed: () => storage.flushed(),
      keepMs: 24 * 3_600_000,
      clock: systemClock,
      logger,
    }),
  );
  const access = new Access({ ...storage, clock: systemClock });
  const sharing = new SharingService({ ...storage, store: storage.shares, access, clock: systemClock });
  const quotaSettings = { defaultLimits: { ...noLimits, agents: 2, ...limits }, requestsPerKey, diskBytes: null };
  const quotas = undo.use(await openQuotas({ storage, access, settings: quotaSettings, clock, logger }));
  let sandboxes: ScriptedSandboxes | undefined;
  const domain = createDomain({
    store: storage.agents,
    connectSandboxes: (observer) => (sandboxes = new ScriptedSandboxes(observer)),
    access,
    quotas: quotas.ofAgents,
    clock: systemClock,
    logger,
    settings: { ...domainSettings, maxMessageBytes: 1_048_576, ...changedDomain },
  });
  undo.defer(() => domain.drain());
  const loginSettings = { ...defaultLogin, ...changedLogin };
  const { sessionIdleMs } = loginSettings;
  const steadyClock = new SteadyClock(clock);
  const keys = undo.use(new KeyService({ store: storage.identities, clock: steadyClock, logger, sessionIdleMs }));
  const login = await openLogin({
    settings: loginSettings,
    store: storage.logins,
    keys,
    log: sessionLogOf(logger, audit.trail),
    flushed: () => storage.flushed(),
    clock: steadyClock,
    logger,
  });
  undo.use(new SessionEnds({ sessions: login.sessions, clock, logger }));
  const egressRules = undo.use(
    new EgressRules({
      store: storage.egressPolicies,
      agents: storage.agents,
      defaults: { allow: [], internal: [], mode: 'deny', ceiling: 'ask' },
      clock: steadyClock,
      logger,
    }),
  );
  egressRules.start();
  const secrets = undo.use(
    await openSecrets({
      store: storage.secrets,
      agents: storage.agents,
      dataDir: directory,
      keys: null,
      extraAuthorities: '',
      useLog: auditedSecretUses(audit.trail),
      clock: systemClock,
      logger,
    }),
  );
  const egressPolicy = undo.use(
    new RulePolicy({
      rules: egressRules,
      holdMs: 60 * 60_000, // longer than any test, on any machine
      clock: systemClock,
      logger,
      record: async (agentId, event) => {
        tellLapse(audit.trail, agentId, event);
        await domain.agents.recordEgress(agentId, event);
      },
    }),
  );
  const previewHosts = new PreviewHosts({ domain: 'preview.localhost', publicUrl: null });
  const previews = new PreviewService({
    store: storage.previews,
    agents: storage.agents,
    access,
    keys,
    sharing,
    guests,
    hosts: previewHosts,
    cookies: new CookieSigner(Buffer.alloc(32, 7)),
    maxTtlMs: 24 * 3_600_000,
    clock: steadyClock,
    logger,
  });
  const metrics = new Metrics({
    attachedSandboxes: () => 0,
    runningSandboxes: async () => (await storage.agents.listAgentsUp(null)).length,
    activeRuns: async () =>
      (await storage.agents.listActiveRuns()).map(({ state, acceptedAt }) => ({
        state,
        ageMs: systemClock.now() - acceptedAt,
      })),
    disks: () => quotas.disks.census(),
    freeBytes: async () => ({}),
    freeInodes: async () => ({}),
    modelServices: () => ({ main: 'closed', other: 'open', third: 'half_open' }),
    audit: () => audit.health,
    droppedLogLines: () => 7,
  });
  const everything = { ...storage, disks: quotas.disks };
  const server = undo.use(
    createServer({
      checkHealth: async () => void (await storage.agents.countAgents(admin.principal.userId)),
      metrics,
      ...changed,
      settings: {
        host: '127.0.0.1',
        port: 0,
        allowedHosts: [],
        maxBodyBytes: 8 * 1_048_576,
        trustedProxies: [],
        ...settings,
      },
      services: {
        domain,
        access,
        workspaces: new Workspaces({ access, guests, disks: quotas.disks }),
        previews,
        previewHosts,
        modelUsage: storage.modelUsage,
        keys,
        users: new UserService({
          store: storage.identities,
          logins: storage.logins,
          keys,
          work: domain.userWork,
          clock: systemClock,
        }),
        ...login,
        sharing,
        quotas,
        egressRules,
        egressPolicy,
        egressLog: storage.egressLog,
        hostSecrets: secrets.hostSecrets,
        recorder: audit.trail,
        audit: audit.service,
        admin: {
          sandboxes: new KnownSandboxes({
            ...everything,
            provider: noEngine,
            stop: async () => undefined,
            remove: async () => undefined,
          }),
          overview: new SystemOverview({
            ...everything,
            version: '0.0.0-test',
            provider: noEngine,
            hostDisk: new HostDisk({ dataDir: directory, provider: noEngine, reserveBytes: 0, logger }),
            pendingEgress: () => egressPolicy.pending(),
          }),
          usage: everything,
        },
        about: {
          version: '0.0.0-test',
          provider: 'scripted',
          harnesses: ['codex', 'claude'],
          model: { name: 'gpt-5.5', demo: true },
        },
        sandboxLimits: { cpus: 2, memoryBytes: 2 * 1_024 ** 3, pids: 512, diskBytes: 1_024 ** 3 },
      },
      logger,
    }),
  );
  const caller = async (user: string, role: Role, limits: Partial<KeyRequest> = {}): Promise<Caller> => {
    const { secret } = await keys.issue({ user, role, name: 'test', mayIssue: role === 'admin', ...limits });
    return { secret, principal: await keys.authenticateSecret(secret) };
  };
  const [admin, alice, bob] = [
    await caller('root', 'admin'),
    await caller('alice', 'member'),
    await caller('bob', 'member'),
  ];
  if (sandboxes === undefined) throw new Error('the domain did not connect its sandboxes');
  const { url } = await server.listen();
  const stop = undo.move();
  return {
    url,
    domain,
    storage,
    sandboxes,
    keys,
    metrics,
    caller,
    quotas,
    egressPolicy,
    admin,
    alice,
    bob,
    log,
    query: async (who, path, input) =>
      await answer(fetch(`${url}/trpc/${path}${inputQuery(input)}`, { headers: bearer(who) })),
    mutate: async (who, path, input) =>
      await answer(
        fetch(`${url}/trpc/${path}`, {
          method: 'POST',
          headers: { ...bearer(who), 'content-type': 'application/json' },
          body: input === undefined ? null : JSON.stringify(input),
        }),
      ),
    subscribe: async (who, input, init = {}, path = 'events.subscribe') =>
      await fetch(`${url}/trpc/${path}${inputQuery(input)}`, {
        ...init,
        headers: { ...bearer(who), ...(init.headers as Record<string, string> | undefined) },
      }),
    databaseFile: join(directory, 'caisson.db'),
    recordCounts: () => audit.trail.recordCounts(),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

export function bearer(caller: Pick<Caller, 'secret'> | null): Record<string, string> {
  return caller === null ? {} : { authorization: `Bearer ${caller.secret}` };
}

export async function answer(pending: Promise<Response>): Promise<Answer> {
  const response = await pending;
  const text = await response.text();
  const body = JSON.parse(text) as { result?: { data?: unknown }; error?: { data?: { caisson?: unknown } } };
  return {
    status: response.status,
    data: body.result?.data,
    error: readErrorBody(body.error?.data?.caisson)?.toJSON(),
    text,
  };
}

function inputQuery(input: unknown): string {
  return input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;
}
