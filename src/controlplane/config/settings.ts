import { z } from 'zod';
import { isProviderName, providerNames } from '../../sandbox-providers/registry.ts';
import { modelAliases, modelUpstreams, modelsOfUsers } from './model-services.ts';
import { egressModes } from '../egress/policy/policy.ts';
import { isPrivateAddress } from '../egress/public-address.ts';
import { readKeys } from '../egress/secrets/keyring.ts';
import { hostRules } from './host-rules.ts';
import { isNetwork, nameList, nameListOf } from './name-list.ts';
import { quotaLimits } from './quota-limits.ts';
import {
  decimal,
  duration,
  httpHeaders,
  httpOrigin,
  httpUrl,
  issuerUrl,
  secret,
  size,
  sizeOrNone,
  wholeNumber,
} from './values.ts';

const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

const simpleName = /^[a-z0-9][a-z0-9-]{0,31}$/;
const hostName = /^[A-Za-z0-9._:-]{1,253}$/;
const domainName = /^(?=.{1,180}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;
const noControls = /^\P{Cc}{1,4096}$/u;

/**
 * Every setting of the control plane: one environment variable each, as text. What a refused value is told is what is
 * allowed, and the documentation is made from the same words (see `describeConfig`).
 */
export const settingsSchema = z.object({
  CAISSON_HOST: z
    .string()
    .regex(hostName, 'a host name or an address')
    .prefault('127.0.0.1')
    .describe(
      'The address to listen on. Anything but a loopback address opens Caisson to the network: put TLS before it.',
    ),
  CAISSON_PORT: wholeNumber({ least: 0, most: 65_535 })
    .prefault('7070')
    .describe('The port to listen on; 0 takes a free one.'),
  CAISSON_ALLOWED_HOSTS: nameList(hostName, 'host names, separated by commas')
    .optional()
    .describe(
      'Further values of the Host header that are answered while Caisson listens on loopback, e.g. behind a reverse proxy.',
    ),
  CAISSON_DATA_DIR: z
    .string()
    .regex(noControls, 'a directory')
    .prefault('.caisson')
    .describe('Where the database, the admin key and the instance name are kept.'),
  CAISSON_LOG_LEVEL: z
    .enum(logLevels, `one of ${logLevels.join(', ')}`)
    .prefault('info')
    .describe('The least important log lines that are written.'),
  CAISSON_OTLP_ENDPOINT: httpUrl()
    .optional()
    .describe(
      'Where traces are delivered to, by OTLP over HTTP in JSON, e.g. `http://127.0.0.1:4318` (`/v1/traces` is added). Default: there are none.',
    ),
  CAISSON_OTLP_HEADERS: httpHeaders().optional().describe('Headers that traces are delivered with, such as a key.'),
  CAISSON_TRACE_SHARE: decimal({ least: 0, most: 1 })
    .prefault('1')
    .describe('The share of calls that are traced. One that a caller has begun a trace for goes by what it says.'),
  CAISSON_INSTANCE: z
    .string()
    .regex(simpleName, 'lower-case letters, digits and hyphens, at most 32')
    .optional()
    .describe('The label of the sandboxes of this control plane. Default: a random name, kept in the data directory.'),

  CAISSON_SANDBOX_PROVIDER: z
    .string()
    .transform((name, context) => {
      if (isProviderName(name)) return name;
      context.addIssue(`one of ${providerNames.join(', ')}`);
      return z.NEVER;
    })
    .prefault('docker')
    .describe('Where sandboxes run.'),
  CAISSON_SANDBOX_IMAGE: z
    .string()
    .regex(/^[\x21-\x7e]{1,512}$/, 'the name of an image')
    .prefault('caisson/sandbox:latest')
    .describe('The image of a sandbox. The default is the one that the set-up built last.'),
  CAISSON_SANDBOX_CPUS: decimal({ least: 0.1, most: 256 })
    .prefault('2')
    .describe('Processor cores of a sandbox: the default of a new agent, and the most that one can be given.'),
  CAISSON_SANDBOX_MEMORY: size({ least: '256m', most: '1024g' })
    .prefault('2g')
    .describe('Memory of a sandbox: the default of a new agent, and the most that one can be given.'),
  CAISSON_SANDBOX_PIDS: wholeNumber({ least: 64, most: 1_000_000 })
    .prefault('512')
    .describe('Processes of a sandbox: the default of a new agent, and the most that one can be given.'),
  CAISSON_SANDBOX_DISK: sizeOrNone({ least: '16m', most: '1048576g' })
    .prefault('10g')
    .describe(
      'Disk of a sandbox, workspace and home together: the default of a new agent, and the most that one can be given. See docs/quotas.md for how it is measured, and what happens beyond it.',
    ),
  CAISSON_DISK_RESERVE: size({ least: '0', most: '1048576g' })
    .prefault('1g')
    .describe(
      'What stays free on the disks of the data directory and of the sandboxes: with less, or with less than that share of the inodes, no sandbox is started (`HOST_DISK_FULL`). `0` looks at neither.',
    ),
  CAISSON_HARNESSES: nameList(simpleName, 'names of harnesses, separated by commas')
    .prefault('codex')
    .describe('The harnesses that the sandbox image has. The first one is the default of a new agent.'),

  CAISSON_MODEL: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'the name of a model')
    .prefault('gpt-5.5')
    .describe('The model of agents that were created without one.'),
  CAISSON_MODEL_API_KEY: secret()
    .optional()
    .describe('The key of the model service. It stays in the control plane and never enters a sandbox.'),
  OPENAI_API_KEY: secret().optional().describe('Used when `CAISSON_MODEL_API_KEY` is not set.'),
  CAISSON_MODEL_BASE_URL: httpUrl()
    .optional()
    .describe(
      'The model service: `/responses`, or the path of the API that is asked for, is added to it. Default: `https://api.openai.com/v1` with a key, the demo model without.',
    ),
  CAISSON_MODEL_UPSTREAMS: modelUpstreams()
    .optional()
    .describe(
      'Further model services by name, as JSON: `{"anthropic":{"baseUrl":"https://api.anthropic.com/v1","apiKey":"…","keyHeader":"x-api-key","models":["claude-*"]}}`. The first one whose `models` has the name of a model is asked for it, and `CAISSON_MODEL_BASE_URL` for all others. `apiKey` may be left out; `keyHeader` is `bearer` (the default) or `x-api-key`.',
    ),
  CAISSON_MODEL_ALIASES: modelAliases()
    .optional()
    .describe('Names for models that agents may use, e.g. `fast=gpt-5.6-luna,best=claude-opus-5-5`.'),
  CAISSON_MODEL_ALLOWED: modelsOfUsers()
    .optional()
    .describe(
      'Which models, or aliases, the agents of a user may ask for, e.g. `*=gpt-*,fast; alice=*`. The user `*` is everyone who is not named. Default: every model.',
    ),

  CAISSON_MODEL_MAX_REQUEST_BYTES: size({ least: '64k', most: '256m' })
    .prefault('64m')
    .describe('Longest request to a model service. Codex sends 60 KB and the conversation.'),
  CAISSON_MODEL_TIMEOUT: duration({ least: '1s', most: '1h' })
    .prefault('5m')
    .describe('Longest silence of a model service, before its answer and in the middle of it.'),

  CAISSON_MAX_RUNS: wholeNumber({ least: 1, most: 10_000 })
    .prefault('16')
    .describe(
      'Runs under way at the same time, over all agents. Further ones wait; users get the next places in turn.',
    ),
  CAISSON_MAX_RUNS_PER_USER: wholeNumber({ least: 1, most: 10_000 })
    .optional()
    .describe(
      'Of these, runs of the agents of one user, whoever started them. Default: half of `CAISSON_MAX_RUNS`, at least 1.',
    ),
  CAISSON_MAX_AGENTS_PER_USER: wholeNumber({ least: 1, most: 100_000 })
    .prefault('20')
    .describe('Agents that one user can have, where `CAISSON_QUOTAS` does not say.'),
  CAISSON_QUOTAS: quotaLimits()
    .optional()
    .describe(
      'What a user may use whose plan does not say: `<quota>=<amount>`, separated by commas; `none` for no limit. The quotas are `agents`, `running_sandboxes`, `cpu` and `memory` (of all sandboxes that run), `disk` (of all sandboxes), `history_bytes`, `message_bytes`, `requests` (a minute), and by the day `sandbox_minutes`, `tokens`, `cost` (in dollars) and `egress_bytes`. Default: `requests=60000`, and agents as above; nothing else is limited.',
    ),
  CAISSON_SLEEP_IDLE_SANDBOXES: z
    .enum(['yes', 'no'], 'yes or no')
    .prefault('no')
    .transform((text) => text === 'yes')
    .describe(
      "Whether an idle sandbox is put to sleep when another agent of its owner has no room in the owner's quotas. Idle is one without a run under way, in which nothing runs but the harness, and nothing listens on a port. Files stay.",
    ),
  CAISSON_REQUESTS_PER_KEY: wholeNumber({ least: 1, most: 100_000_000 })
    .prefault('60000')
    .describe(
      'Requests of the API a minute with one key, or in one session of a browser. Further ones are refused with `RATE_LIMITED`.',
    ),
  CAISSON_QUEUE_LIMIT: wholeNumber({ least: 1, most: 1_000 })
    .prefault('20')
    .describe('Runs that can wait in one conversation. A further one is refused with `QUEUE_FULL`.'),
  CAISSON_RUN_TIMEOUT: duration({ least: '1s', most: '7d' })
    .prefault('1h')
    .describe('How long a run may take: what a caller gets who names no time, and the most that one can ask for.'),
  CAISSON_IDLE_TIMEOUT: duration({ least: '1s', most: '1d' })
    .prefault('10m')
    .describe('Longest silence of a harness in a run while no tool runs and no permission is open.'),
  CAISSON_PERMISSION_TIMEOUT: duration({ least: '1s', most: '1d' })
    .prefault('10m')
    .describe('How long a permission request stays open before it expires.'),
  CAISSON_MAX_MESSAGE_BYTES: size({ least: '1k', most: '1m' })
    .prefault('1m')
    .describe('Longest message, as UTF-8. Codex takes 1,048,576 characters.'),
  CAISSON_MAX_BODY_BYTES: size({ least: '16k', most: '64m' })
    .prefault('8m')
    .describe('Longest body of an API request.'),
  CAISSON_EVENT_RETENTION: wholeNumber({ least: 1_000, most: 100_000_000 })
    .prefault('200000')
    .describe('Events kept for each agent. Messages are kept for ever.'),
  CAISSON_EVENT_RETENTION_BYTES: size({ least: '16m', most: '1024g' })
    .prefault('256m')
    .describe('How much of them is kept for each agent, whatever their number: about so many bytes.'),
  CAISSON_AUDIT_RETENTION: duration({ least: '1d', most: '3650d' })
    .prefault('365d')
    .describe('How long records of the audit are kept. Older ones are forgotten, oldest first, once an hour.'),

  CAISSON_EGRESS_ALLOW: hostRules(
    [80, 443],
    'hosts such as example.com, *.example.com or example.com:22, separated by commas',
  )
    .refine(
      (rules) => !rules.some(({ host }) => isPrivateAddress(host)),
      'public hosts: addresses of your own network go into CAISSON_EGRESS_INTERNAL, each with its port',
    )
    .optional()
    .describe(
      'Public hosts that sandboxes may connect to, e.g. `registry.example.com, *.packages.example.com, git.example.com:22`. Without a port: 80 and 443. `*.` means the names under it, not itself. Default: none.',
    ),
  CAISSON_EGRESS_INTERNAL: hostRules([], 'hosts with a port, such as git.corp.example:443, separated by commas')
    .optional()
    .describe(
      'Hosts of your own network that sandboxes may connect to, each with its port. Their addresses need not be public, and any protocol may be spoken. Default: none.',
    ),
  CAISSON_EGRESS_MODE: z
    .enum(egressModes, `one of ${egressModes.join(', ')}`)
    .prefault('deny')
    .describe(
      'What becomes of a connection that no rule speaks of, for agents that were not given a mode: `deny` (also what the agent itself allows), `allowlist` (denied), `ask` (held while a person decides), `open` (any public host).',
    ),
  CAISSON_EGRESS_CEILING: z
    .enum(egressModes, `one of ${egressModes.join(', ')}`)
    .prefault('ask')
    .describe(
      'The widest mode that an agent can have, until an administrator sets another with `caisson egress mode @everyone`. `ask`: people may allow hosts to their agents, one by one. `allowlist`: only hosts that an administrator permits.',
    ),
  CAISSON_EGRESS_ASK_TIMEOUT: duration({ least: '1s', most: '10m' })
    .prefault('2m')
    .describe('How long a connection of an agent whose mode is `ask` is held while a person decides.'),
  CAISSON_EGRESS_RATE: size({ least: '16k', most: '16g' })
    .optional()
    .describe('Bytes a second of one sandbox to and from the world, together. Default: no limit.'),
  CAISSON_EXTRA_CA_FILE: z
    .string()
    .regex(noControls, 'a file')
    .optional()
    .describe(
      'A PEM file of certificate authorities that every sandbox trusts besides those of its image, for a network with an authority of its own.',
    ),
  CAISSON_SECRETS_KEY: z
    .string()
    .transform((text, context) => {
      const keys = readKeys(text);
      if (keys !== undefined) return keys;
      context.addIssue('`<version>:<32 bytes in base64>`, and for a rotation several, separated by commas');
      return z.NEVER;
    })
    .optional()
    .describe(
      'The key under which secrets for hosts are stored, as `1:<32 bytes in base64>`. With several, separated by commas, the highest version is used, and what is under an older one is stored anew at the start. Default: `secrets.key` in the data directory, made at the first start.',
    ),

  CAISSON_PREVIEW_DOMAIN: z
    .string()
    .regex(domainName, 'a domain name')
    .optional()
    .describe(
      'Previews are at `<port>-<agent id>.<this domain>`. Take one that holds nothing else, and put it on the Public Suffix List: apps cannot then set cookies for each other. Default: `preview.localhost`, which browsers find by themselves.',
    ),
  CAISSON_PREVIEW_URL: httpOrigin()
    .optional()
    .describe(
      'The address of the preview domain as browsers reach it, where a proxy with TLS stands in front, e.g. `https://preview.example.com`.',
    ),
  CAISSON_PREVIEW_MAX_TTL: duration({ least: '1m', most: '30d' })
    .prefault('7d')
    .describe('The longest time that a preview link can be made for. Without a time it is made for 1 h.'),
  CAISSON_PUBLIC_URL: httpOrigin()
    .optional()
    .describe(
      'Where browsers reach Caisson, e.g. `https://caisson.example.com`: people sign in there, and nowhere else. Default: `localhost` and other names of loopback. Without TLS passwords go over the network in clear.',
    ),
  CAISSON_SESSION_IDLE: duration({ least: '5m', most: '90d' })
    .prefault('12h')
    .describe('After how long without a request the session of a browser ends, to the minute.'),
  CAISSON_SESSION_LIFE: duration({ least: '5m', most: '90d' })
    .prefault('7d')
    .describe('When the session of a browser ends whatever happens: people sign in again.'),
  CAISSON_OIDC_ISSUER: issuerUrl()
    .optional()
    .describe('The OpenID Connect provider that people sign in with, as it names itself. Default: passwords only.'),
  CAISSON_OIDC_CLIENT_ID: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'printable ASCII without spaces')
    .optional()
    .describe('Who Caisson is there. Its redirect address is `<public URL>/login/oidc/callback`.'),
  CAISSON_OIDC_CLIENT_SECRET: secret().optional().describe('The secret of that client. Default: it has none.'),
  CAISSON_OIDC_CLIENT_SECRET_FILE: z
    .string()
    .regex(noControls, 'a file')
    .optional()
    .describe('A file that holds the secret, in the place of `CAISSON_OIDC_CLIENT_SECRET`.'),
  CAISSON_OIDC_DOMAINS: nameList(domainName, 'domain names, separated by commas')
    .optional()
    .describe(
      'Who comes from the provider with a verified email of these domains becomes a member without an invitation. Default: nobody does.',
    ),
  CAISSON_TRUSTED_PROXIES: nameListOf(isNetwork, 'addresses or networks such as 10.0.0.0/8, separated by commas')
    .optional()
    .describe(
      'Proxies whose `X-Forwarded-For` is believed: for the addresses in the audit, for how often an address may fail to sign in, and when it is passed on to previewed apps.',
    ),
});
export type Settings = z.output<typeof settingsSchema>;
type SettingName = keyof Settings;

/** Values that no message shows: keys, and an address that may hold a password by mistake. */
export const concealedSettings: ReadonlySet<string> = new Set<SettingName>([
  'CAISSON_MODEL_API_KEY',
  'OPENAI_API_KEY',
  'CAISSON_OIDC_CLIENT_SECRET',
  'CAISSON_MODEL_BASE_URL',
  'CAISSON_MODEL_UPSTREAMS',
  'CAISSON_SECRETS_KEY',
  'CAISSON_OTLP_ENDPOINT',
  'CAISSON_OTLP_HEADERS',
]);

/** Variables with our prefix that other parts of Caisson read. */
export const variablesReadElsewhere = {
  CAISSON_URL: 'The control plane that the client and the command line talk to.',
  CAISSON_API_KEY: 'The API key that the client and the command line use.',
  CAISSON_BASE_IMAGE: 'The image that the sandbox image is built on, for the set-up.',
  CAISSON_DEBUG: '`1` makes the command line show where an error came from.',
  CAISSON_CRASH_AT: 'The step after which the process kills itself, for tests.',
  CAISSON_IMAGE_CLAUDE: '`1` puts the Claude harness into the sandbox image, for the set-up.',
} as const;
