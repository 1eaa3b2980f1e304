import { resolve } from 'node:path';
import type { EventRetention } from '../agents/ports.ts';
import { CaissonError } from '../kernel/errors.ts';
import type { HostRule } from './egress/policy/host-pattern.ts';
import type { EgressMode } from './egress/policy/policy.ts';
import type { SecretKeys } from './egress/secrets/keyring.ts';
import { contradictions } from './config/contradictions.ts';
import { previewDomain } from './config/preview-domain.ts';
import { refusedValue, unknownNames } from './config/refused-variables.ts';
import { settingsSchema, type LogLevel, type Settings } from './config/settings.ts';
import { type Limits, noLimits } from './quotas/terms.ts';
import type { TracingSettings } from './observability/tracing/tracing.ts';
import type { ModelRouteSettings, UpstreamSettings } from './model-gateway/model-routes.ts';

export { describeConfig } from './config/describe-config.ts';

/** Where model requests go. `apiKey` is null where the service needs none. */
interface ModelSettings {
  /** The model of agents that were created without one. */
  readonly name: string;
  /** True when neither a key nor an address was given: the demo model answers, and `baseUrl` is null. */
  readonly demo: boolean;
  readonly baseUrl: string | null;
  readonly apiKey: string | null;
  /** Asked before `baseUrl` for the models that they have. */
  readonly upstreams: readonly UpstreamSettings[];
  readonly aliases: ModelRouteSettings['aliases'];
  readonly allowed: ModelRouteSettings['allowed'];
  readonly maxRequestBytes: number;
  readonly timeoutMs: number;
}

/** The settings of a control plane, checked. Times are milliseconds, sizes are bytes. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Further values of the Host header that are answered. */
  readonly allowedHosts: readonly string[];
  /** Absolute. */
  readonly dataDir: string;
  /** Null: the one that the data directory holds (`openDataDir`). */
  readonly instance: string | null;
  readonly logLevel: LogLevel;
  /** Undefined: no traces. */
  readonly tracing: TracingSettings | undefined;
  readonly sandbox: {
    readonly provider: Settings['CAISSON_SANDBOX_PROVIDER'];
    readonly image: string;
    /** The default and the ceiling of an agent. */
    readonly limits: {
      readonly cpus: number;
      readonly memoryBytes: number;
      readonly pids: number;
      /** Null: no limit. */
      readonly diskBytes: number | null;
    };
    /** Kept free on the disks of the machine. */
    readonly diskReserveBytes: number;
  };
  /** Not empty; the first is the default. */
  readonly harnesses: readonly string[];
  readonly model: ModelSettings;
  readonly maxRuns: number;
  readonly maxRunsPerUser: number;
  readonly sleepIdleSandboxes: boolean;
  readonly quotas: {
    /** Of users, where neither they nor their plan say otherwise. */
    readonly defaultLimits: Limits;
    /** Requests a minute of one key. */
    readonly requestsPerKey: number;
  };
  readonly queueLimit: number;
  readonly runTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly permissionTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly maxBodyBytes: number;
  readonly eventRetention: EventRetention;
  readonly egress: {
    /** Public hosts that every sandbox may connect to. */
    readonly allow: readonly HostRule[];
    /** The same of one's own network. */
    readonly internal: readonly HostRule[];
    /** Of agents whose policy names none. */
    readonly mode: EgressMode;
    /** The widest mode that an agent can have, unless the operator's policy names one. */
    readonly ceiling: EgressMode;
    /** How long a connection is held while a person decides. */
    readonly askTimeoutMs: number;
    /** Of one sandbox, both directions together. Null: no limit. */
    readonly bytesPerSecond: number | null;
    /** Absolute. Null: none. */
    readonly extraCaFile: string | null;
    /** Of secrets for hosts. Null: those in the data directory. */
    readonly secretKeys: SecretKeys | null;
  };
  readonly auditRetentionMs: number;
  readonly previews: {
    /** In lower case. */
    readonly domain: string;
    /** Null: plain HTTP on our own port. */
    readonly publicUrl: string | null;
    readonly maxTtlMs: number;
  };
  readonly login: {
    /** Null: the names of loopback. */
    readonly publicUrl: string | null;
    readonly sessionIdleMs: number;
    readonly sessionLifeMs: number;
    /** Null: passwords only. */
    readonly oidc: {
      readonly issuer: string;
      readonly clientId: string;
      readonly clientSecret: string | null;
      /** Absolute. Null: none. */
      readonly clientSecretFile: string | null;
    } | null;
    /** In lower case. */
    readonly openDomains: readonly string[];
  };
  /** Addresses and networks of proxies whose X-Forwarded-* headers are believed. */
  readonly trustedProxies: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const openaiBaseUrl = 'https://api.openai.com/v1';

/**
 * Reads the settings from environment variables, and from nothing else. An empty variable counts as unset.
 *
 * @throws CaissonError CONFIG_INVALID, which names every wrong variable, its value (never a secret) and what is allowed.
 */
export function loadConfig(environment: Environment = process.env): Config {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && value !== '') given[name] = value;
  }
  const parsed = settingsSchema.safeParse(given);
  const problems = unknownNames(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(refusedValue(String(issue.path[0]), given, issue.message));
    throw invalid(problems);
  }
  const settings = parsed.data;
  problems.push(...contradictions(settings));
  if (problems.length > 0) throw invalid(problems);
  return toConfig(settings);
}

function toConfig(settings: Settings): Config {
  const apiKey = settings.CAISSON_MODEL_API_KEY ?? settings.OPENAI_API_KEY ?? null;
  const demo = apiKey === null && settings.CAISSON_MODEL_BASE_URL === undefined;
  return {
    host: settings.CAISSON_HOST,
    port: settings.CAISSON_PORT,
    allowedHosts: [...(settings.CAISSON_ALLOWED_HOSTS ?? []), ...publicNames(settings)],
    dataDir: resolve(settings.CAISSON_DATA_DIR),
    instance: settings.CAISSON_INSTANCE ?? null,
    logLevel: settings.CAISSON_LOG_LEVEL,
    tracing: tracingSettings(settings),
    sandbox: {
      provider: settings.CAISSON_SANDBOX_PROVIDER,
      image: settings.CAISSON_SANDBOX_IMAGE,
      limits: {
        cpus: settings.CAISSON_SANDBOX_CPUS,
        memoryBytes: settings.CAISSON_SANDBOX_MEMORY,
        pids: settings.CAISSON_SANDBOX_PIDS,
        diskBytes: settings.CAISSON_SANDBOX_DISK,
      },
      diskReserveBytes: settings.CAISSON_DISK_RESERVE,
    },
    harnesses: settings.CAISSON_HARNESSES,
    model: {
      name: settings.CAISSON_MODEL,
      demo,
      baseUrl: demo ? null : (settings.CAISSON_MODEL_BASE_URL ?? openaiBaseUrl),
      apiKey,
      upstreams: Object.entries(settings.CAISSON_MODEL_UPSTREAMS ?? {}).map(([name, upstream]) => ({
        ...upstream,
        name,
        apiKey: upstream.apiKey ?? null,
      })),
      aliases: settings.CAISSON_MODEL_ALIASES ?? {},
      allowed: settings.CAISSON_MODEL_ALLOWED ?? {},
      maxRequestBytes: settings.CAISSON_MODEL_MAX_REQUEST_BYTES,
      timeoutMs: settings.CAISSON_MODEL_TIMEOUT,
    },
    maxRuns: settings.CAISSON_MAX_RUNS,
    maxRunsPerUser: settings.CAISSON_MAX_RUNS_PER_USER ?? Math.max(1, Math.floor(settings.CAISSON_MAX_RUNS / 2)),
    sleepIdleSandboxes: settings.CAISSON_SLEEP_IDLE_SANDBOXES,
    quotas: {
      defaultLimits: {
        ...noLimits,
        agents: settings.CAISSON_MAX_AGENTS_PER_USER,
        requests: 60_000,
        ...settings.CAISSON_QUOTAS,
      },
      requestsPerKey: settings.CAISSON_REQUESTS_PER_KEY,
    },
    queueLimit: settings.CAISSON_QUEUE_LIMIT,
    runTimeoutMs: settings.CAISSON_RUN_TIMEOUT,
    idleTimeoutMs: settings.CAISSON_IDLE_TIMEOUT,
    permissionTimeoutMs: settings.CAISSON_PERMISSION_TIMEOUT,
    maxMessageBytes: settings.CAISSON_MAX_MESSAGE_BYTES,
    maxBodyBytes: settings.CAISSON_MAX_BODY_BYTES,
    eventRetention: {
      events: settings.CAISSON_EVENT_RETENTION,
      bytes: settings.CAISSON_EVENT_RETENTION_BYTES,
    },
    egress: {
      allow: settings.CAISSON_EGRESS_ALLOW ?? [],
      internal: settings.CAISSON_EGRESS_INTERNAL ?? [],
      mode: settings.CAISSON_EGRESS_MODE,
      ceiling: settings.CAISSON_EGRESS_CEILING,
      askTimeoutMs: settings.CAISSON_EGRESS_ASK_TIMEOUT,
      bytesPerSecond: settings.CAISSON_EGRESS_RATE ?? null,
      extraCaFile: settings.CAISSON_EXTRA_CA_FILE === undefined ? null : resolve(settings.CAISSON_EXTRA_CA_FILE),
      secretKeys: settings.CAISSON_SECRETS_KEY ?? null,
    },
    auditRetentionMs: settings.CAISSON_AUDIT_RETENTION,
    previews: {
      domain: previewDomain(settings),
      publicUrl: settings.CAISSON_PREVIEW_URL ?? null,
      maxTtlMs: settings.CAISSON_PREVIEW_MAX_TTL,
    },
    login: {
      publicUrl: settings.CAISSON_PUBLIC_URL ?? null,
      sessionIdleMs: settings.CAISSON_SESSION_IDLE,
      sessionLifeMs: settings.CAISSON_SESSION_LIFE,
      oidc: oidc(settings),
      openDomains: (settings.CAISSON_OIDC_DOMAINS ?? []).map((domain) => domain.toLowerCase()),
    },
    trustedProxies: settings.CAISSON_TRUSTED_PROXIES ?? [],
  };
}

function tracingSettings(settings: Settings): TracingSettings | undefined {
  const { CAISSON_OTLP_ENDPOINT: endpoint, CAISSON_OTLP_HEADERS: headers = {} } = settings;
  if (endpoint === undefined) return undefined;
  const url = endpoint.endsWith('/v1/traces') ? endpoint : `${endpoint}/v1/traces`;
  return { url, headers, share: settings.CAISSON_TRACE_SHARE };
}

/** A proxy may pass the name on that browsers asked for. */
function publicNames({ CAISSON_PUBLIC_URL: url }: Settings): string[] {
  return url === undefined ? [] : [new URL(url).hostname];
}

function oidc(settings: Settings): Config['login']['oidc'] {
  const { CAISSON_OIDC_ISSUER: issuer, CAISSON_OIDC_CLIENT_ID: clientId } = settings;
  if (issuer === undefined || clientId === undefined) return null;
  const { CAISSON_OIDC_CLIENT_SECRET: secret, CAISSON_OIDC_CLIENT_SECRET_FILE: file } = settings;
  return {
    issuer,
    clientId,
    clientSecret: secret ?? null,
    clientSecretFile: file === undefined ? null : resolve(file),
  };
}

function invalid(problems: readonly string[]): CaissonError {
  return new CaissonError('CONFIG_INVALID', problems.join('\n'), {
    hint: 'Correct or unset it. docs/configuration.md lists every setting.',
    details: { problems },
  });
}

export type { LogLevel };
