import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityProvider, type PendingSignIn } from '../../../src/controlplane/login/identity-provider.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';

const [own, foreign] = [newKey(), newKey()];
const json = { 'content-type': 'application/json' };
const redirectUri = 'http://localhost:7070/login/oidc/callback';
let server: Server;
let issuer: string;
/** What the provider answers for a code. */
let idToken: string;
/** How it answers at a path that is here, in the place of an answer. */
const failures = new Map<string, (response: ServerResponse) => void>();

beforeAll(async () => {
  server = createServer((request, response) => {
    const answers: Readonly<Record<string, object>> = {
      '/.well-known/openid-configuration': {
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      },
      '/jwks': { keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] },
      '/token': { access_token: 'a', token_type: 'Bearer', expires_in: 60, id_token: idToken },
    };
    request.resume();
    const fail = failures.get(request.url ?? '');
    if (fail !== undefined) return fail(response);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[request.url ?? ''] ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  issuer = `http://127.0.0.1:${address.port}`;
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

function newKey(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('rsa', { modulusLength: 2_048 });
}

function token(
  claims: object,
  { key = own.privateKey, alg = 'RS256' }: { key?: KeyObject; alg?: string } = {},
): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg, kid: 'one', typ: 'JWT' })}.${part(claims)}`;
  const signature = alg === 'none' ? '' : sign('sha256', Buffer.from(text), key).toString('base64url');
  return `${text}.${signature}`;
}

const seconds = (): number => Math.floor(Date.now() / 1_000);

function honest({ nonce }: PendingSignIn): Record<string, unknown> {
  const [iat, exp] = [seconds(), seconds() + 60];
  return { iss: issuer, aud: 'caisson', sub: 'ida', nonce, iat, exp, email: 'ida@example.com', email_verified: true };
}

async function finish(make: (pending: PendingSignIn) => string): ReturnType<IdentityProvider['finish']> {
  const provider = new IdentityProvider({ issuer, clientId: 'caisson', clientSecret: 's' }, silentLogger);
  const { pending } = await provider.begin(redirectUri);
  idToken = make(pending);
  return await provider.finish(`code=c&state=${pending.state}`, pending);
}

test('a sound token is taken', async () => {
  expect(await finish((pending) => token(honest(pending)))).toEqual({
    identity: { issuer, subject: 'ida' },
    verifiedEmail: 'ida@example.com',
  });
});

test.each<[string, (pending: PendingSignIn) => string]>([
  ['of another sign-in', (pending) => token({ ...honest(pending), nonce: 'another' })],
  ['without a nonce', (pending) => token({ ...honest(pending), nonce: undefined })],
  ['for another client', (pending) => token({ ...honest(pending), aud: 'another' })],
  ['of another issuer', (pending) => token({ ...honest(pending), iss: 'https://issuer.example' })],
  ['that has expired', (pending) => token({ ...honest(pending), iat: seconds() - 7_200, exp: seconds() - 3_600 })],
  ['without a subject', (pending) => token({ ...honest(pending), sub: undefined })],
  ['that somebody else signed', (pending) => token(honest(pending), { key: foreign.privateKey })],
  ['that nobody signed', (pending) => token(honest(pending), { alg: 'none' })],
  ['that is none', () => 'x.y.z'],
])('a token %s is refused', async (_, make) => {
  await expect(finish(make)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

test.each<[string, (response: ServerResponse) => void]>([
  ['closes the connection', (response) => response.destroy()],
  ['breaks off', (response) => response.writeHead(200, json).write('{"access_token":', () => response.destroy())],
  ['answers 503', (response) => response.writeHead(503).end('busy')],
  ['answers 500 in JSON', (response) => response.writeHead(500, json).end('{"error":"server_error"}')],
])('a provider that %s after the person was there is away, and has refused nobody', async (_, fail) => {
  for (const path of ['/token', '/jwks']) {
    failures.set(path, fail);
    try {
      await expect(finish((pending) => token(honest(pending)))).rejects.toMatchObject({ code: 'LOGIN_UNAVAILABLE' });
    } finally {
      failures.clear();
    }
  }
});

test('a provider that refuses the code is not away', async () => {
  failures.set('/token', (response) => response.writeHead(400, json).end('{"error":"invalid_grant"}'));
  try {
    await expect(finish((pending) => token(honest(pending)))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  } finally {
    failures.clear();
  }
});

test.each<[string, object, string | null]>([
  ['not said to be verified', { email_verified: undefined }, null],
  ['not verified', { email_verified: false }, null],
  ['in capitals', { email: 'IDA@Example.COM' }, 'ida@example.com'],
])('an email that is %s', async (_, claims, verifiedEmail) => {
  expect(await finish((pending) => token({ ...honest(pending), ...claims }))).toMatchObject({ verifiedEmail });
});

test.each([
  ['is no address', 'not an email'],
  ['is a list', ['ida@example.com']],
  ['is said in words to be verified', 'ida@example.com'],
  ['is null', null],
])('an email that %s is none, and who was linked before comes in all the same', async (what, email) => {
  const said = what.includes('words') ? { email, email_verified: 'true' } : { email };
  expect(await finish((pending) => token({ ...honest(pending), ...said }))).toEqual({
    identity: { issuer, subject: 'ida' },
    verifiedEmail: null,
  });
});
