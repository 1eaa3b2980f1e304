import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';

/** Somebody who has an account at the provider. */
export interface Account {
  readonly email: string;
  readonly isVerified: boolean;
}

export interface RunningProvider extends AsyncDisposable {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/**
 * A real OpenID Connect provider on loopback. It asks who somebody is on a page, believes it, and has the accounts of the map.
 */
export async function startProvider(accounts: ReadonlyMap<string, Account>): Promise<RunningProvider> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the provider has no port');
  const issuer = `http://localhost:${address.port}`;
  const [clientId, clientSecret] = ['caisson', 'a-secret-of-the-client-0123456789'];
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        // Of loopback, where the port does not matter to a native client.
        redirect_uris: ['localhost', '127.0.0.1'].map((host) => `http://${host}/login/oidc/callback`),
        application_type: 'native',
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['of the cookies of the test'] },
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/sign-in/${uid}` },
    ttl: { Interaction: 600, Grant: 600, Session: 600, AccessToken: 600, IdToken: 600 },
    findAccount: (_context: unknown, accountId: string) => {
      const account = accounts.get(accountId);
      if (account === undefined) return undefined;
      const claims = { sub: accountId, email: account.email, email_verified: account.isVerified };
      return { accountId, claims: () => claims };
    },
    // Nobody is asked whether Caisson may know the email.
    loadExistingGrant: async (context: {
      oidc: { client: { clientId: string }; session: { accountId: string }; provider: Provider };
    }) => {
      const { client, session } = context.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope('openid email');
      await grant.save();
      return grant;
    },
  });
  const pages = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/sign-in/') !== true) return pages(request, response);
    if (request.method === 'GET') {
      response.setHeader('content-type', 'text/html');
      response.end('<form method="post"><input name="account" autofocus><button>Sign in</button></form>');
      return;
    }
    text(request)
      .then(async (body) => {
        const accountId = new URLSearchParams(body).get('account') ?? '';
        await provider.interactionFinished(request, response, { login: { accountId }, consent: {} });
      })
      .catch((thrown: unknown) => response.writeHead(500).end(String(thrown)));
  });
  return {
    issuer,
    clientId,
    clientSecret,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
