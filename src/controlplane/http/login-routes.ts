import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { errorTable } from '../../kernel/error-table.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { keyIdSchema } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { auditCall, type Recorder } from '../audit/audited.ts';
import type { Principal } from '../auth/identity.ts';
import type { KeyService } from '../auth/key-service.ts';
import { emailSchema } from '../login/email.ts';
import type { Caller, LoginService } from '../login/login-service.ts';
import { accountPage } from '../login/pages/account-page.ts';
import { invitationPage } from '../login/pages/invitation-page.ts';
import { type Notice, pageHeaders } from '../login/pages/page.ts';
import { signInPage } from '../login/pages/sign-in-page.ts';
import { pendingMs } from '../login/pending-sign-ins.ts';
import { isVisit, requireSameOrigin } from '../login/same-origin.ts';
import { clearCookie, readCookie, setCookie } from '../login/session-cookies.ts';
import type { NewSession, SessionService } from '../login/session-service.ts';
import type { WebOrigin } from '../login/web-origin.ts';
import { bodyText } from './body-text.ts';
import { refusalOf, retryAfter } from './refusals.ts';

interface LoginRoutesOptions {
  readonly keys: Pick<KeyService, 'authenticateSession'>;
  readonly sessions: SessionService;
  readonly logins: LoginService;
  readonly webOrigin: WebOrigin;
  /** Resolves when all that is stored outlives a power cut. */
  readonly flushed: () => Promise<void>;
  /** Of the browser, where the proxies before us are trusted. */
  readonly addressOf: (request: IncomingMessage) => string;
  /** What comes from other sites is recorded; who signs in and out, by whom it is done. */
  readonly recorder: Pick<Recorder, 'refused'>;
  readonly logger: Logger;
}

/** Of a form: the longest password that is typed, in the longest spelling. */
const mostFormBytes = 16_384;
const mostBrowserLength = 200;

const password = z.string().min(1).max(1_000);
const signInForm = z.object({ email: emailSchema, password });
const invitationForm = z.object({ invitation: z.string().trim().min(1).max(100), password, repeated: password });
const passwordForm = z.object({ current: password, next: password });
const sessionForm = z.object({ sessionId: keyIdSchema });

/**
 * The pages where people sign in, accept an invitation, and see who they are. Forms are taken from these pages only, whether or not
 * somebody is signed in: nobody else's page can sign a browser in or out.
 */
export function serveLogin(app: FastifyInstance, options: LoginRoutesOptions): void {
  const { sessions, logins, webOrigin, flushed, addressOf, recorder, logger } = options;

  const ownOrigin = (request: FastifyRequest): string => {
    const own = webOrigin.of(request.headers.host);
    if (own !== undefined) return own;
    throw new CaissonError('FORBIDDEN', 'Nobody can sign in at this address.', {
      hint: 'Set CAISSON_PUBLIC_URL to the address that browsers use, with TLS before it.',
    });
  };
  /** Who is signed in; undefined where nobody is. */
  const principalOf = async (request: FastifyRequest): Promise<Principal | undefined> => {
    const secret = readCookie(request.headers.cookie, 'session', webOrigin);
    if (secret === undefined || !isVisit(request)) return undefined;
    try {
      return await options.keys.authenticateSession(secret);
    } catch (thrown) {
      if (thrown instanceof CaissonError && thrown.code === 'UNAUTHORIZED') return undefined;
      throw thrown;
    }
  };
  const callerOf = async (request: FastifyRequest): Promise<Caller> => {
    const browser = (request.headers['user-agent'] ?? '').replace(/\p{Cc}/gu, ' ').slice(0, mostBrowserLength);
    return { visitor: { address: addressOf(request.raw), browser }, current: await principalOf(request) };
  };
  const show = async (reply: FastifyReply, page: string, status = 200): Promise<void> => {
    await reply.code(status).headers(pageHeaders).send(page);
  };
  const goTo = async (reply: FastifyReply, path: string): Promise<void> => {
    await reply.header('cache-control', 'no-store').redirect(path, 303);
  };
  const enter = async (reply: FastifyReply, { session, secret }: NewSession): Promise<void> => {
    await flushed();
    const maxAgeMs = (session.expiresAt ?? session.createdAt) - session.createdAt;
    void reply.header('set-cookie', setCookie('session', secret, { isSecure: webOrigin.isSecure, maxAgeMs }));
    await goTo(reply, '/account');
  };
  const showAccount = async (
    reply: FastifyReply,
    principal: Principal,
    { notice, status = 200 }: { readonly notice?: Notice; readonly status?: number } = {},
  ): Promise<void> => {
    const [login, own] = [await logins.loginOf(principal.userId), await sessions.list(principal)];
    const email = login?.email ?? null;
    const hasPassword = login?.passwordHash != null;
    await show(reply, accountPage({ principal, email, hasPassword, sessions: own, notice }), status);
  };

  void app.register(async (scope) => {
    scope.addContentTypeParser('application/x-www-form-urlencoded', async ({ raw }: FastifyRequest) =>
      Object.fromEntries(new URLSearchParams(await bodyText(raw, mostFormBytes))),
    );
    scope.addHook('onRequest', async (request) => {
      try {
        const own = ownOrigin(request);
        if (request.method !== 'GET') requireSameOrigin(request.raw, own);
        if (request.routeOptions.url?.startsWith('/login/oidc')) requireVisit(request);
      } catch (thrown) {
        const { method, routeOptions, raw, id: requestId } = request;
        const action = `${method} ${routeOptions.url}`;
        const call = auditCall({ action, principal: undefined, address: addressOf(raw), requestId, input: {} });
        recorder.refused(call, 'FORBIDDEN');
        throw thrown;
      }
    });
    // What a form did not do is said on a page.
    scope.setErrorHandler(async (thrown: unknown, request: FastifyRequest, reply: FastifyReply) => {
      const { status, error } = refusalOf(thrown);
      if (error.code === 'INTERNAL') logger.error({ requestId: request.id, err: thrown }, 'a sign-in failed');
      void reply.headers(retryAfter(error));
      const notice: Notice = { kind: 'problem', text: `${error.message} ${error.hint}`.trim() };
      await show(reply, signInPage({ hasProvider: logins.hasProvider, notice }), status);
    });

    scope.get('/login', async (request, reply) => {
      if ((await principalOf(request)) !== undefined) return await goTo(reply, '/account');
      await show(reply, signInPage({ hasProvider: logins.hasProvider }));
    });
    scope.post('/login', async (request, reply) => {
      const form = signInForm.safeParse(request.body);
      if (!form.success) throw new CaissonError('BAD_REQUEST', 'Give your email and your password.', { hint: '' });
      try {
        await enter(reply, await logins.signIn(form.data, await callerOf(request)));
      } catch (thrown) {
        const { email } = form.data;
        const { status, notice } = refused(thrown, reply);
        await show(reply, signInPage({ hasProvider: logins.hasProvider, notice, email }), status);
      }
    });

    scope.get('/login/oidc', async (request, reply) => {
      const redirectUri = `${ownOrigin(request)}/login/oidc/callback`;
      const { url, ticket } = await logins.beginAtProvider(redirectUri, await callerOf(request));
      const { isSecure } = webOrigin;
      void reply.header('set-cookie', setCookie('ticket', ticket, { isSecure, maxAgeMs: pendingMs }));
      await goTo(reply, url);
    });
    scope.get('/login/oidc/callback', async (request, reply) => {
      const { isSecure } = webOrigin;
      const ticket = readCookie(request.headers.cookie, 'ticket', webOrigin);
      void reply.header('set-cookie', clearCookie('ticket', isSecure));
      const query = request.url.split('?', 2)[1] ?? '';
      await enter(reply, await logins.finishAtProvider({ ticket, query }, await callerOf(request)));
    });

    scope.get('/invitation', async (_request, reply) => {
      await show(reply, invitationPage({ hasProvider: logins.hasProvider }));
    });
    scope.post('/invitation', async (request, reply) => {
      const form = invitationForm.safeParse(request.body);
      try {
        if (!form.success) throw new CaissonError('BAD_REQUEST', 'Fill in all fields.', { hint: '' });
        const { repeated, ...accepted } = form.data;
        if (repeated !== accepted.password) {
          throw new CaissonError('BAD_REQUEST', 'The two passwords are not the same.', { hint: '' });
        }
        await enter(reply, await logins.accept(accepted, await callerOf(request)));
      } catch (thrown) {
        const { status, notice } = refused(thrown, reply);
        const invitation = form.data?.invitation;
        const isHidden = !(thrown instanceof CaissonError && thrown.code === 'INVITATION_INVALID');
        await show(reply, invitationPage({ hasProvider: logins.hasProvider, notice, invitation, isHidden }), status);
      }
    });

    scope.get('/account', async (request, reply) => {
      const principal = await principalOf(request);
      if (principal === undefined) return await goTo(reply, '/login');
      await showAccount(reply, principal);
    });
    scope.post('/account/password', async (request, reply) => {
      const { current: principal, visitor } = await callerOf(request);
      if (principal === undefined) return await goTo(reply, '/login');
      const form = passwordForm.safeParse(request.body);
      try {
        if (!form.success) throw new CaissonError('BAD_REQUEST', 'Fill in all fields.', { hint: '' });
        await enter(reply, await logins.changePassword(principal, form.data, visitor));
      } catch (thrown) {
        await showAccount(reply, principal, refused(thrown, reply));
      }
    });
    scope.post('/account/sessions', async (request, reply) => {
      const principal = await principalOf(request);
      if (principal === undefined) return await goTo(reply, '/login');
      const form = sessionForm.safeParse(request.body);
      try {
        if (!form.success) throw new CaissonError('BAD_REQUEST', 'This is no session.', { hint: '' });
        await sessions.revoke(principal, form.data.sessionId);
        await flushed();
        await goTo(reply, '/account');
      } catch (thrown) {
        await showAccount(reply, principal, refused(thrown, reply));
      }
    });

    const leave = async (reply: FastifyReply): Promise<void> => {
      await flushed();
      void reply.header('set-cookie', clearCookie('session', webOrigin.isSecure));
      await goTo(reply, '/login');
    };
    scope.post('/logout', async (request, reply) => {
      const principal = await principalOf(request);
      if (principal !== undefined) await sessions.signOut(principal);
      await leave(reply);
    });
    scope.post('/logout/everywhere', async (request, reply) => {
      const principal = await principalOf(request);
      if (principal !== undefined) await sessions.signOutEverywhere(principal);
      await leave(reply);
    });
  });
}

/** The pages of a sign-in at the provider: another one could otherwise take the ticket of its visitor, or give it another. */
function requireVisit(request: FastifyRequest): void {
  if (!isVisit(request))
    throw new CaissonError('FORBIDDEN', 'A sign-in is begun and ended by a person who goes there.');
}

/** What the person did wrong, for the page that it came from; all else is thrown on. */
function refused(thrown: unknown, reply: FastifyReply): { readonly status: number; readonly notice: Notice } {
  if (!(thrown instanceof CaissonError) || thrown.code === 'INTERNAL') throw thrown;
  void reply.headers(retryAfter(thrown));
  return {
    status: errorTable[thrown.code].http,
    notice: { kind: 'problem', text: `${thrown.message} ${thrown.hint}`.trim() },
  };
}
