import type { Principal } from '../auth/identity.ts';
import type { RequestContext } from './request-context.ts';
import type { ApiServices } from './services.ts';

type ApiContextOptions = Pick<
  ApiContext,
  'requestId' | 'services' | 'address' | 'keepResult' | 'about' | 'identify' | 'authenticate'
>;

/** What every procedure gets. The caller is known only after `authenticate`. */
export class ApiContext implements RequestContext {
  readonly requestId: string;
  readonly services: ApiServices;
  /** Of the caller, behind trusted proxies. */
  readonly address: string;
  /** Called with what each call resolves with; what it throws is answered instead. */
  readonly keepResult: (data: unknown) => void;
  /** Hears which agents the calls name, when the caller is known. */
  readonly about: (agentId: string) => void;
  /** Who calls, for what is recorded of it: also of a caller who is not let in now. */
  readonly identify: () => Promise<Principal>;
  readonly #authenticate: () => Promise<Principal>;
  #principal: Promise<Principal> | undefined;

  constructor(options: ApiContextOptions) {
    this.requestId = options.requestId;
    this.services = options.services;
    this.address = options.address;
    this.keepResult = options.keepResult;
    this.about = options.about;
    this.identify = options.identify;
    this.#authenticate = options.authenticate;
  }

  /** Asks once for all calls of a batch. */
  authenticate(): Promise<Principal> {
    return (this.#principal ??= this.#authenticate());
  }
}
