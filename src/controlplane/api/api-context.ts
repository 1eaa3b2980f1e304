import type { Principal } from '../auth/identity.ts';
import type { RequestContext } from './request-context.ts';
import type { ApiServices } from './services.ts';

/** What every procedure gets. The caller is known only after `authenticate`. */
export class ApiContext implements RequestContext {
  readonly requestId: string;
  readonly services: ApiServices;
  readonly #authenticate: () => Promise<Principal>;
  #principal: Promise<Principal> | undefined;

  constructor(requestId: string, services: ApiServices, authenticate: () => Promise<Principal>) {
    this.requestId = requestId;
    this.services = services;
    this.#authenticate = authenticate;
  }

  /** Asks once for all calls of a batch. */
  authenticate(): Promise<Principal> {
    return (this.#principal ??= this.#authenticate());
  }
}
