import { createDomain, type Domain } from '../agents/domain.ts';
import { systemClock } from '../kernel/clock.ts';
import { type CaissonError, errorText, toCaissonError } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { SteadyClock } from '../kernel/steady-clock.ts';
import type { SandboxProvider } from '../sandbox-providers/contract/index.ts';
import { openProvider } from '../sandbox-providers/registry.ts';
import { openAdmin } from './admin/open-admin.ts';
import { openAudit } from './audit/open-audit.ts';
import { auditedSecretUses } from './audit/secret-use.ts';
import { Access } from './auth/access.ts';
import { type AdminKey, ensureAdminKey } from './auth/admin-key.ts';
import { KeyService } from './auth/key-service.ts';
import { SharingService } from './auth/sharing-service.ts';
import { UserService } from './auth/user-service.ts';
import { type Config, loadConfig } from './config.ts';
import { openDataDir } from './data-dir.ts';
import { readExtraAuthorities } from './egress/extra-authorities.ts';
import { openEgress } from './egress/open-egress.ts';
import type { Resolve } from './egress/resolve.ts';
import { DiskWatch } from './disk/disk-watch.ts';
import { HostDisk } from './disk/host-disk.ts';
import { openSecrets } from './egress/secrets/open-secrets.ts';
import { everyAgent } from './fleet/every-agent.ts';
import { Fleet } from './fleet/fleet.ts';
import { sandboxSpec } from './fleet/sandbox-spec.ts';
import { openLogin } from './login/open-login.ts';
import { SessionEnds } from './login/session-ends.ts';
import { sessionLogOf } from './login/session-log.ts';
import { LedgerBudget } from './model-gateway/ledger-budget.ts';
import { defaultGatewayLimits } from './model-gateway/gateway-limits.ts';
import { createModelGateway } from './model-gateway/model-gateway.ts';
import type { UpstreamSettings } from './model-gateway/model-routes.ts';
import { type LogDestination, stderrDestination } from './observability/log-destination.ts';
import { createLogger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import { PreviewHosts } from './previews/preview-hosts.ts';
import { openCookieSigner } from './previews/preview-secrets.ts';
import { PreviewService } from './previews/preview-service.ts';
import { requireWalls } from './provider-walls.ts';
import { holderOf } from './quotas/account.ts';
import { openQuotas } from './quotas/open-quotas.ts';
import { SandboxMinutes } from './quotas/sandbox-minutes.ts';
import type { StoredLedger } from './quotas/stored-ledger.ts';
import { createServer } from './server.ts';
import { Workspaces } from './workspace/workspaces.ts';
import { openStorage } from './storage/open-storage.ts';

export interface StartOptions {
  /** The settings; see docs/configuration.md. Default: the process's environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Shown at `system.version`. */
  readonly version: string;
  /** Default: JSON lines on stderr. */
  readonly logger?: Logger;
  /** Default: the provider that the settings name. For providers of one's own. */
  readonly provider?: SandboxProvider;
  /** The addresses of internal hosts that sandboxes may connect to. Default: as any program of this machine finds them. */
  readonly resolveInternal?: Resolve;
}

/** A control plane that serves. */
export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly config: Config;
  readonly adminKey: AdminKey;
  /** What the sandbox provider says of itself, or why it does not answer. */
  readonly provider: { readonly name: string; readonly description: string; readonly available: boolean };
  /** Resolves, never rejects, when it can store nothing any more. It should be closed and started again. */
  readonly failed: Promise<CaissonError>;
  /**
   * Stops: takes no more requests, lets go of the sandboxes (what runs in them goes on), closes the store.
   * Done within about 10 s. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * Starts a control plane and resolves when it serves. What was opened is closed again when it cannot.
 *
 * @throws CaissonError CONFIG_INVALID, which says what to correct; CAPABILITY_UNSUPPORTED for a provider without walls.
 */
export async function startControlPlane(options: StartOptions): Promise<ControlPlane> {
  const config = loadConfig(options.environment);
  const destination = stderrDestination(); // stdout stays with what is printed for people
  const logger = options.logger ?? createLogger({ level: config.logLevel, destination });
  try {
    return await start(options, config, logger, destination);
  } catch (thrown) {
    if (toCaissonError(thrown).code === 'INTERNAL') logger.error({ err: thrown }, 'the start failed');
    throw thrown;
  }
}

async function start(
  options: StartOptions,
  config: Config,
  logger: Logger,
  logDestination: LogDestination,
): Promise<ControlPlane> {
  await using opened = new AsyncDisposableStack();

  const dataDir = await openDataDir({ path: config.dataDir, instance: config.instance, logger });
  // Asked when there is a server, and by then there is all of it.
  const metrics = new Metrics({
    attachedSandboxes: () => sandboxes.attached,
    disks: () => quotas.disks.census(),
    freeBytes: async () => await hostDisk.freeBytes(),
    freeInodes: async () => await hostDisk.freeInodes(),
    runningSandboxes: async () => (await storage.agents.listAgentsUp(null)).length,
    activeRuns: async () =>
      (await storage.agents.listActiveRuns()).map(({ state, acceptedAt }) => ({
        state,
        ageMs: systemClock.now() - acceptedAt,
      })),
    modelServices: () => gateway.breakers,
    audit: () => audit.health,
    droppedLogLines: () => logDestination.dropped,
  });

  const storage = await openStorage(dataDir.path, { onFlush: (ms) => metrics.flush(ms) });
  opened.defer(() => storage.close());
  const audit = opened.use(
    await openAudit({
      store: storage.audit,
      flushed: () => storage.flushed(),
      keepMs: config.auditRetentionMs,
      clock: systemClock,
      logger,
    }),
  );
  const { sessionIdleMs } = config.login;
  const steadyClock = new SteadyClock(systemClock);
  const keys = opened.use(new KeyService({ store: storage.identities, clock: steadyClock, logger, sessionIdleMs }));
  const adminKey = await ensureAdminKey({ keys, store: storage.identities, dataDir: dataDir.path, logger });

  // Loaded only where it is asked for: it takes memory.
  const tracing =
    config.tracing &&
    opened.use(
      (await import('./observability/tracing/open-tracing.ts')).openTracing({
        ...config.tracing,
        version: options.version,
        instance: dataDir.instance,
        logger,
      }),
    );

  const model = await openModel(config, opened);
  const { agents, identities, logins, shares } = storage;
  const access = new Access({ agents, identities, shares, clock: steadyClock });
  const login = await openLogin({
    settings: config.login,
    store: storage.logins,
    keys,
    log: sessionLogOf(logger, audit.trail),
    flushed: () => storage.flushed(),
    clock: steadyClock,
    logger,
  });
  opened.use(new SessionEnds({ sessions: login.sessions, clock: steadyClock, logger }));
  const sharing = new SharingService({ store: shares, identities, access, clock: systemClock });
  const plainProvider =
    options.provider ?? (await openProvider(config.sandbox.provider, { instance: dataDir.instance }));
  opened.use(plainProvider);
  requireWalls(plainProvider, config);
  const provider = tracing?.provider(plainProvider) ?? plainProvider;
  const { diskReserveBytes: reserveBytes, limits: sandboxLimits } = config.sandbox;
  const hostDisk = new HostDisk({ dataDir: dataDir.path, provider, reserveBytes, logger });
  const quotas = opened.use(
    await openQuotas({
      storage,
      access,
      settings: { ...config.quotas, diskBytes: sandboxLimits.diskBytes },
      host: hostDisk,
      clock: systemClock,
      logger,
    }),
  );
  const extraAuthorities = await readExtraAuthorities(config.egress.extraCaFile);
  const secrets = opened.use(
    await openSecrets({
      store: storage.secrets,
      agents: storage.agents,
      dataDir: dataDir.path,
      keys: config.egress.secretKeys,
      extraAuthorities,
      useLog: auditedSecretUses(audit.trail),
      clock: systemClock,
      logger,
    }),
  );
  const ownPorts = new Set<number>();
  const egress = opened.use(
    await openEgress({
      settings: config.egress,
      storage,
      ledger: quotas.ledger,
      secrets: secrets.ofGateway,
      ownPorts: () => ownPorts,
      resolveInternal: options.resolveInternal,
      record: async (agentId, event) => await domain.agents.recordEgress(agentId, event),
      audit: audit.trail,
      onConnection: (record) => {
        metrics.connection(record);
        tracing?.connection(record);
      },
      clock: systemClock,
      steadyClock,
      logger,
    }),
  );
  const modelBudget = opened.use(new LedgerBudget({ ledger: quotas.ledger, clock: systemClock, logger }));
  const gateway = opened.use(
    createModelGateway({
      routes: {
        upstreams: [...config.model.upstreams, { ...model, name: 'main', keyHeader: 'bearer', models: ['*'] }],
        aliases: config.model.aliases,
        allowed: config.model.allowed,
      },
      callers: storage.modelCallers,
      budget: modelBudget,
      usage: storage.modelUsage,
      clock: systemClock,
      logger,
      limits: {
        maxRequestBytes: config.model.maxRequestBytes,
        maxHeldBytes: Math.max(defaultGatewayLimits.maxHeldBytes, 4 * config.model.maxRequestBytes),
        firstByteTimeoutMs: config.model.timeoutMs,
        idleTimeoutMs: config.model.timeoutMs,
      },
      onCall: (record) => {
        metrics.modelCall(record);
        tracing?.modelCall(record);
      },
    }),
  );
  let fleet: Fleet | undefined;
  const domain = createDomain({
    store: storage.agents,
    connectSandboxes: (observer) =>
      (fleet = new Fleet({
        provider,
        observer,
        specOf: (agent) => sandboxSpec(agent, config),
        outwardFor: (agentId) => (stream, headers) => gateway.handle(agentId, stream, headers),
        knownSince: storage.madeAt,
        onWireBroken: (code) => metrics.wireBroke(code),
        egressFor: (agentId) => (stream, headers) => egress.gateway.handle(agentId, stream, headers),
        authoritiesFor: async (agentId) => extraAuthorities + (await secrets.authorities.certificateOf(agentId)),
        clock: systemClock,
        logger,
      })),
    access,
    quotas: quotas.ofAgents,
    spentIn: (runId) => modelBudget.spentIn(runId),
    clock: systemClock,
    logger,
    settings: { ...config, maxConcurrentRuns: config.maxRuns, maxConcurrentRunsPerUser: config.maxRunsPerUser },
    withinRun: tracing && ((runId, work) => tracing.withinRun(runId, work)),
  });
  if (tracing !== undefined) domain.events.onStored((event) => tracing.event(event));
  if (fleet === undefined) throw new Error('The domain did not ask for its sandboxes.');
  const sandboxes = opened.use(fleet);
  opened.defer(() => domain.drain());
  opened.use(
    new SandboxMinutes({
      agents: storage.agents,
      ledger: quotas.ledger,
      stop: async (agentId, reason) => await sandboxes.stop(agentId, reason),
      clock: systemClock,
      logger,
    }),
  );
  if (provider.capabilities.disk) {
    opened.use(
      new DiskWatch({
        book: quotas.disks,
        provider,
        agents: storage.agents,
        stop: async (agentId, reason) => await sandboxes.stop(agentId, reason, { atOnce: true }),
        tell: async (agentId, crossing) => await domain.agents.quotaCrossed(agentId, crossing),
        clock: systemClock,
        logger,
      }),
    );
  }
  tellCrossings(quotas.ledger, domain, logger);

  const previewHosts = new PreviewHosts(config.previews);
  const previews = opened.use(
    new PreviewService({
      store: storage.previews,
      agents: storage.agents,
      access,
      keys,
      sharing,
      guests: fleet,
      hosts: previewHosts,
      cookies: await openCookieSigner(dataDir.path),
      maxTtlMs: config.previews.maxTtlMs,
      clock: steadyClock,
      logger,
    }),
  );

  const ready = Promise.withResolvers<void>();
  const server = opened.use(
    createServer({
      settings: config,
      services: {
        domain,
        access,
        workspaces: new Workspaces({ access, guests: fleet, disks: quotas.disks }),
        previews,
        previewHosts,
        modelUsage: storage.modelUsage,
        keys,
        users: new UserService({ store: identities, logins, keys, work: domain.userWork, clock: steadyClock }),
        ...login,
        sharing,
        quotas,
        egressRules: egress.rules,
        egressPolicy: egress.policy,
        egressLog: storage.egressLog,
        hostSecrets: secrets.hostSecrets,
        recorder: audit.trail,
        audit: audit.service,
        admin: openAdmin({
          version: options.version,
          provider,
          storage,
          disks: quotas.disks,
          hostDisk,
          stop: async (agentId, reason) => await sandboxes.stop(agentId, reason),
          remove: async (agentId, reason) => await sandboxes.remove(agentId, reason),
          pendingEgress: () => egress.policy.pending(),
        }),
        about: {
          version: options.version,
          provider: provider.name,
          harnesses: config.harnesses,
          model: { name: config.model.name, demo: config.model.demo },
        },
        sandboxLimits,
      },
      metrics,
      checkHealth: async () => {
        await storage.identities.findUserByName('admin');
        await storage.checkHealth();
      },
      ready: ready.promise,
      logger,
      tracing,
    }),
  );
  // The address first: a start that fails for want of it has touched no sandbox. Requests wait for what comes next.
  const { url } = await server.listen();
  ownPorts.add(Number(new URL(url).port || 80));
  await domain.recover();
  ready.resolve();
  // Sandboxes of earlier are taken up while the first requests come in: each call that needs one waits for its own.
  void fleet.start(() => everyAgent(storage.agents));
  const description = await describeProvider(provider);
  const held = opened.move();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= held.disposeAsync());
  const { failed } = storage;
  void failed.then((error) => logger.error({ err: error }, 'the store has failed; Caisson has to be started again'));
  return { url, config, adminKey, provider: description, failed, close, [Symbol.asyncDispose]: close };
}

/** Into the log of the agent whose use it was. */
function tellCrossings(ledger: StoredLedger, domain: Domain, logger: Logger): void {
  ledger.onCrossing(({ account, agentId, ...crossing }) => {
    if (agentId === null) return;
    domain.agents.quotaCrossed(agentId, { ...crossing, of: holderOf(account).kind }).catch((err: unknown) => {
      logger.warn({ err, agentId }, 'a quota that is nearly spent could not be told');
    });
  });
}

/** The model service, or the demo model in its place. */
async function openModel(
  config: Config,
  opened: AsyncDisposableStack,
): Promise<Pick<UpstreamSettings, 'baseUrl' | 'apiKey' | 'isDemo'>> {
  const { baseUrl, apiKey } = config.model;
  if (baseUrl !== null) return { baseUrl, apiKey };
  const { createDemoModel } = await import('./demo-model/demo-model.ts'); // it takes memory
  const demo = await createDemoModel().listen();
  opened.defer(() => demo.close());
  return { baseUrl: demo.baseUrl, apiKey: null, isDemo: true };
}

async function describeProvider(provider: SandboxProvider): Promise<ControlPlane['provider']> {
  const { name } = provider;
  try {
    const { description } = await provider.check(AbortSignal.timeout(5_000));
    return { name, description, available: true };
  } catch (thrown) {
    return { name, description: errorText(thrown), available: false };
  }
}
