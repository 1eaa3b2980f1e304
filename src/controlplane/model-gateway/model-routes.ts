import type { ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { Agent as HttpAgent } from '../../kernel/node-http.ts';
import { type BreakerMode, CircuitBreaker } from './circuit-breaker.ts';
import { GatewayError } from './gateway-error.ts';

/** How a service wants its key: `Authorization: Bearer`, or `x-api-key` as Anthropic does. */
type KeyHeader = 'bearer' | 'x-api-key';

/** A model service as the settings name it. */
export interface UpstreamSettings {
  readonly name: string;
  /** The path of an API is added to it. */
  readonly baseUrl: string;
  /** Null where the service needs none. */
  readonly apiKey: string | null;
  readonly keyHeader: KeyHeader;
  /** The models that it has: names, in which `*` stands for anything. */
  readonly models: readonly string[];
  /** It follows a script: whatever model it is asked for, it is asked for `demo`, which costs nothing. Default: false. */
  readonly isDemo?: boolean;
}

export interface ModelRouteSettings {
  /** The first one that has a model is asked for it. Not empty; the first one lists the models. */
  readonly upstreams: readonly UpstreamSettings[];
  /** Names that agents may use, and the model that each stands for. */
  readonly aliases: Readonly<Record<string, string>>;
  /**
   * Which names a user may ask for, by the user's name: patterns as of an upstream, which also name aliases. `*` is for
   * users that have no list of their own. Empty: every user may use every model.
   */
  readonly allowed: Readonly<Record<string, readonly string[]>>;
}

/** A model service with its connections. */
export interface Upstream extends UpstreamSettings {
  /** `baseUrl`, parsed once, as Node takes it. */
  readonly target: ClientRequestArgs;
  readonly agent: InstanceType<typeof HttpAgent>;
  readonly breaker: CircuitBreaker;
}

export interface ModelRoute {
  readonly upstream: Upstream;
  /** The name by which the service knows the model. */
  readonly model: string;
}

/** Idle connections that are kept to each service. */
const maxFreeSockets = 256;

/** Says which service is asked for a model, and who may ask. */
export class ModelRoutes implements Disposable {
  readonly #settings: ModelRouteSettings;
  readonly #upstreams: readonly Upstream[];

  constructor(settings: ModelRouteSettings, clock: Clock, logger: Logger) {
    this.#settings = settings;
    this.#upstreams = settings.upstreams.map((upstream) => ({
      ...upstream,
      target: targetOf(upstream.baseUrl),
      agent: new (upstream.baseUrl.startsWith('https:') ? HttpsAgent : HttpAgent)({ keepAlive: true, maxFreeSockets }),
      breaker: new CircuitBreaker(clock, (isDown) => {
        if (isDown)
          logger.warn({ upstream: upstream.name }, 'a model service does not answer; it is left alone for a while');
        else logger.info({ upstream: upstream.name }, 'a model service answers again');
      }),
    }));
  }

  /** The service that is asked what concerns no model. */
  get first(): Upstream {
    const [first] = this.#upstreams;
    if (first === undefined) throw new TypeError('There is no model service.');
    return first;
  }

  /** By the names of the services. */
  get breakers(): Readonly<Record<string, BreakerMode>> {
    return Object.fromEntries(this.#upstreams.map(({ name, breaker }) => [name, breaker.mode]));
  }

  /** Throws `model_not_found`, which says the same of a model that the user may not use and of one that no service has. */
  choose(userName: string, asked: string): ModelRoute {
    const model = Object.hasOwn(this.#settings.aliases, asked) ? (this.#settings.aliases[asked] ?? asked) : asked;
    const upstream = this.#serving(model);
    if (upstream === undefined || !this.#mayUse(userName, asked)) {
      throw new GatewayError(
        'model_not_found',
        `The model ${JSON.stringify(asked.slice(0, 100))} does not exist or you do not have access to it.`,
      );
    }
    return { upstream, model: upstream.isDemo === true ? 'demo' : model };
  }

  /** Whether every user may use what the first service lists, and nothing else. */
  get isPlain(): boolean {
    const { aliases, allowed } = this.#settings;
    return this.#upstreams.length === 1 && Object.keys(aliases).length === 0 && Object.keys(allowed).length === 0;
  }

  /**
   * Of the models that the first service lists, and those that the settings name, the ones that a user may ask for: the
   * name, and the model that it stands for. A pattern of another service names no model.
   */
  namesFor(userName: string, listed: readonly string[]): ReadonlyMap<string, string> {
    const { aliases } = this.#settings;
    const known = new Set([...listed, ...this.#upstreams.flatMap(({ models }) => models.filter(isName))]);
    const names = new Map([...[...known].map((name) => [name, name] as const), ...Object.entries(aliases)]);
    const isUsable = ([name, model]: readonly [string, string]): boolean =>
      this.#mayUse(userName, name) && this.#serving(model) !== undefined;
    return new Map([...names].filter(isUsable));
  }

  [Symbol.dispose](): void {
    for (const { agent } of this.#upstreams) agent.destroy();
  }

  #serving(model: string): Upstream | undefined {
    return this.#upstreams.find(({ models }) => models.some((pattern) => matches(pattern, model)));
  }

  #mayUse(userName: string, asked: string): boolean {
    const { allowed } = this.#settings;
    if (Object.keys(allowed).length === 0) return true;
    const own = Object.hasOwn(allowed, userName) ? allowed[userName] : allowed['*'];
    return own?.some((pattern) => matches(pattern, asked)) ?? false;
  }
}

/** Its path has no slash at its end: that of an API is added to it. */
function targetOf(baseUrl: string): ClientRequestArgs {
  const { protocol, hostname, port, path } = urlToHttpOptions(new URL(baseUrl));
  return { protocol, hostname, port, path: (path ?? '').replace(/\/+$/, '') };
}

/** Whether a pattern stands for one name only. */
function isName(pattern: string): boolean {
  return !pattern.includes('*');
}

/** Whether a name is one that the pattern stands for. */
function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return name === pattern;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop() ?? '';
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return name.length - at >= last.length && name.endsWith(last);
}
