import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { newUserId, type UserId } from '../../kernel/ids.ts';
import type { Principal, SignIn, User } from '../auth/identity.ts';
import { hashInvitation } from '../auth/invitation-secret.ts';
import type { Arrival, IdentityProvider } from './identity-provider.ts';
import type { Attempt, LoginAttempts } from './login-attempts.ts';
import type { Login, LoginStore } from './login-store.ts';
import type { Passwords } from './passwords.ts';
import { PendingSignIns } from './pending-sign-ins.ts';
import type { RefusalReason, SessionLog, Visitor } from './session-log.ts';
import type { NewSession, SessionService } from './session-service.ts';

interface LoginServiceOptions {
  readonly store: LoginStore;
  readonly sessions: SessionService;
  readonly passwords: Passwords;
  readonly attempts: LoginAttempts;
  readonly log: SessionLog;
  readonly clock: Clock;
  /** Null: people sign in with passwords only. */
  readonly provider: Pick<IdentityProvider, 'begin' | 'finish'> | null;
  /** Who has a verified email of these domains needs no invitation: a member is made. In lower case. */
  readonly openDomains: readonly string[];
}

/** A browser that wants in. */
export interface Caller {
  readonly visitor: Visitor;
  /** Whom it is signed in as. That session ends when another begins. */
  readonly current: Principal | undefined;
}

/** How people come in with a browser. Nobody learns here whether an email is known. */
export class LoginService {
  readonly #options: LoginServiceOptions;
  readonly #pending: PendingSignIns;

  constructor(options: LoginServiceOptions) {
    this.#options = options;
    this.#pending = new PendingSignIns(options.clock);
  }

  /** Whether there is an identity provider. */
  get hasProvider(): boolean {
    return this.#options.provider !== null;
  }

  /** How a user signs in; undefined for who comes by keys only. */
  async loginOf(userId: UserId): Promise<Login | undefined> {
    return await this.#options.store.findByUser(userId);
  }

  /** Errors: UNAUTHORIZED, the same for everybody and as late; RATE_LIMITED. */
  async signIn(
    { email, password }: { readonly email: string; readonly password: string },
    caller: Caller,
  ): Promise<NewSession> {
    const { store, passwords, sessions } = this.#options;
    const attempt = this.#attempt(email, 'password', caller);
    const login = await store.findByEmail(email);
    const isRight = await made(attempt, passwords.verify(password, login?.passwordHash ?? null));
    if (login !== undefined && isRight) {
      const { user, passwordHash } = login;
      const by = { signedInBy: 'password', passwordHash, visitor: caller.visitor, replaces: caller.current } as const;
      const begun = await sessions.begin(user, by);
      if (begun !== undefined) {
        attempt.succeeded();
        return begun;
      }
    }
    throw this.#refused('wrong_credentials', 'password', caller, login?.user.id);
  }

  /** Exchanges an invitation for a password and a session. Errors: INVITATION_INVALID, BAD_REQUEST, RATE_LIMITED. */
  async accept(
    { invitation, password }: { readonly invitation: string; readonly password: string },
    caller: Caller,
  ): Promise<NewSession> {
    const { store, passwords, sessions, clock } = this.#options;
    const attempt = this.#attempt(null, 'password', caller);
    const hash = hashInvitation(invitation);
    const invited = await store.findInvited(hash, clock.now());
    if (invited === undefined) throw this.#refused('invitation_invalid', 'password', caller);
    attempt.succeeded(); // no guess: what follows is a matter of the password's form
    passwords.check(password, { email: invited.email, name: invited.user.name });
    const passwordHash = await passwords.hash(password);
    const accepted = await store.acceptInvitation(hash, { passwordHash, now: clock.now() });
    if (accepted === undefined) throw this.#refused('invitation_invalid', 'password', caller, invited.user.id);
    sessions.ended({ userId: accepted.user.id, userName: accepted.user.name }, accepted.ended, 'password_changed');
    const by = { signedInBy: 'password', passwordHash, visitor: caller.visitor, replaces: caller.current } as const;
    const begun = await sessions.begin(accepted.user, by);
    if (begun === undefined) throw this.#refused('invitation_invalid', 'password', caller, invited.user.id);
    return begun;
  }

  /** Ends every session of the caller, and begins one. Errors: UNAUTHORIZED for a wrong one, BAD_REQUEST, RATE_LIMITED. */
  async changePassword(
    principal: Principal,
    { current, next }: { readonly current: string; readonly next: string },
    visitor: Visitor,
  ): Promise<NewSession> {
    const { store, passwords, sessions, clock } = this.#options;
    const { userId } = principal;
    const caller = { visitor, current: principal };
    const login = await store.findByUser(userId);
    const attempt = this.#attempt(login?.email ?? userId, 'password', caller);
    const from = login?.passwordHash ?? null;
    if (!(await made(attempt, passwords.verify(current, from))) || login === undefined || from === null) {
      throw this.#refused('wrong_credentials', 'password', caller, userId);
    }
    attempt.succeeded();
    passwords.check(next, { email: login.email, name: login.user.name });
    const to = await passwords.hash(next);
    const ended = await store.changePassword(userId, { from, to, now: clock.now() });
    if (ended === undefined) throw this.#refused('wrong_credentials', 'password', caller, userId);
    sessions.ended(principal, ended, 'password_changed');
    const by = { signedInBy: 'password', passwordHash: to, visitor, replaces: undefined } as const;
    const begun = await sessions.begin(login.user, by);
    if (begun === undefined) throw this.#refused('wrong_credentials', 'password', caller, userId);
    return begun;
  }

  /** Where the browser is to go, and the ticket that it comes back with. Errors: LOGIN_UNAVAILABLE, RATE_LIMITED. */
  async beginAtProvider(
    redirectUri: string,
    caller: Caller,
  ): Promise<{ readonly url: string; readonly ticket: string }> {
    const provider = this.#provider();
    this.#attempt(null, 'oidc', caller).withdrawn(); // who has failed too often is not sent there; to begin is no failure
    const { url, pending } = await provider.begin(redirectUri);
    return { url, ticket: this.#pending.add(pending, caller.visitor.address) };
  }

  /** Errors: UNAUTHORIZED; FORBIDDEN for who is not invited; LOGIN_UNAVAILABLE. */
  async finishAtProvider(
    { ticket, query }: { readonly ticket: string | undefined; readonly query: string },
    caller: Caller,
  ): Promise<NewSession> {
    const provider = this.#provider();
    const pending = ticket === undefined ? undefined : this.#pending.take(ticket);
    if (pending === undefined) throw this.#refused('provider_refused', 'oidc', caller);
    const attempt = this.#attempt(null, 'oidc', caller);
    const said = new URLSearchParams(query);
    // Any page can send its visitors here, and a person may change their mind there: neither has tried anything.
    if (said.get('state') !== pending.state || !said.has('code')) attempt.withdrawn();
    const arrival = await made(attempt, provider.finish(query, pending)).catch((thrown: unknown) => {
      if (isUnauthorized(thrown)) this.#tellRefused('provider_refused', 'oidc', caller);
      throw thrown;
    });
    const user = await this.#userOf(arrival);
    const { visitor, current: replaces } = caller;
    const begun =
      user && (await this.#options.sessions.begin(user, { signedInBy: 'oidc', passwordHash: null, visitor, replaces }));
    if (begun === undefined) throw this.#refused('not_invited', 'oidc', caller, user?.id);
    attempt.succeeded();
    return begun;
  }

  /** By the identity; else by the verified email, of somebody who is invited or of an open domain. */
  async #userOf({ identity, verifiedEmail: email }: Arrival): Promise<User | undefined> {
    const { store, clock, openDomains } = this.#options;
    const known = await store.findByIdentity(identity);
    if (known !== undefined || email === null) return known;
    const now = clock.now();
    const invited = await store.linkInvited(identity, { email, now });
    if (invited !== undefined) return invited;
    // It becomes the name of the user, which is plain and short.
    const isName = /^[\x21-\x7e]{3,100}$/.test(email);
    if (!isName || !openDomains.includes(email.slice(email.lastIndexOf('@') + 1))) return undefined;
    const user: User = { id: newUserId(), name: email, role: 'member', createdAt: now, disabledAt: null };
    return (await store.insertLinked({ user, email }, identity)) ? user : undefined;
  }

  #provider(): Pick<IdentityProvider, 'begin' | 'finish'> {
    const { provider } = this.#options;
    if (provider !== null) return provider;
    throw new CaissonError('BAD_REQUEST', 'No identity provider is set up here.', {
      hint: 'Sign in with your email and your password.',
    });
  }

  #attempt(account: string | null, signIn: SignIn, caller: Caller): ReturnType<LoginAttempts['begin']> {
    try {
      return this.#options.attempts.begin({ account, address: caller.visitor.address });
    } catch (thrown) {
      this.#tellRefused('too_many_attempts', signIn, caller);
      throw thrown;
    }
  }

  #refused(reason: RefusalReason, signIn: SignIn, caller: Caller, userId?: UserId): CaissonError {
    this.#tellRefused(reason, signIn, caller, userId);
    return refusals[reason]();
  }

  #tellRefused(reason: RefusalReason, signIn: SignIn, { visitor }: Caller, userId?: UserId): void {
    this.#options.log.refused({ userId: userId ?? null, signIn, reason, visitor });
  }
}

/** What could not be asked, as when nobody answers or too many wait, is no failure of who wanted in. */
async function made<T>(attempt: Attempt, asking: Promise<T>): Promise<T> {
  try {
    return await asking;
  } catch (thrown) {
    if (!isUnauthorized(thrown)) attempt.withdrawn();
    throw thrown;
  }
}

function isUnauthorized(thrown: unknown): boolean {
  return thrown instanceof CaissonError && thrown.code === 'UNAUTHORIZED';
}

/** What the person is told. */
const refusals = {
  wrong_credentials: () =>
    new CaissonError('UNAUTHORIZED', 'The email or the password is not right.', {
      hint: 'An administrator can make you a link for a new password.',
    }),
  too_many_attempts: () => new CaissonError('RATE_LIMITED', 'Signing in has failed too often.'),
  not_invited: () =>
    new CaissonError('FORBIDDEN', 'There is no invitation for you here.', { hint: 'Ask an administrator for one.' }),
  invitation_invalid: () =>
    new CaissonError('INVITATION_INVALID', 'There is no such invitation, or it was used, or has expired.'),
  provider_refused: () =>
    new CaissonError('UNAUTHORIZED', 'This sign-in was not begun here, or too long ago.', { hint: 'Begin again.' }),
} as const satisfies Record<RefusalReason, () => CaissonError>;
