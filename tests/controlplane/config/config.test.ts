import { resolve } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settingsSchema } from '../../../src/controlplane/config/settings.ts';
import { describeConfig, loadConfig } from '../../../src/controlplane/config.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';

function refusal(environment: Readonly<Record<string, string>>): CaissonError {
  try {
    loadConfig(environment);
  } catch (thrown) {
    if (thrown instanceof CaissonError) return thrown;
    throw thrown;
  }
  throw new Error('it was accepted');
}

describe('without any variable', () => {
  test('the defaults serve on loopback with the demo model', () => {
    expect(loadConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 7070,
      dataDir: resolve('.caisson'),
      sandbox: {
        provider: 'docker',
        image: 'caisson/sandbox:latest',
        limits: { cpus: 2, memoryBytes: 2_147_483_648, pids: 512 },
      },
      harnesses: ['codex'],
      model: { name: 'gpt-5.5', demo: true, baseUrl: null, apiKey: null },
      maxRuns: 16,
      maxRunsPerUser: 8,
      runTimeoutMs: 3_600_000,
      maxMessageBytes: 1_048_576,
      eventRetention: { events: 200_000, bytes: 256 * 1024 * 1024 },
    });
  });

  test('an empty variable counts as unset', () => {
    expect(loadConfig({ CAISSON_PORT: '', OPENAI_API_KEY: '' })).toEqual(loadConfig({}));
  });
});

describe('the share of one user', () => {
  test.each([
    [{}, 8],
    [{ CAISSON_MAX_RUNS: '5' }, 2],
    [{ CAISSON_MAX_RUNS: '1' }, 1],
    [{ CAISSON_MAX_RUNS: '5', CAISSON_MAX_RUNS_PER_USER: '4' }, 4],
  ])('by %j', (environment, maxRunsPerUser) => {
    expect(loadConfig(environment)).toMatchObject({ maxRunsPerUser });
  });
});

describe('the model', () => {
  test.each([
    [{ OPENAI_API_KEY: 'a' }, { demo: false, baseUrl: 'https://api.openai.com/v1', apiKey: 'a' }],
    [{ OPENAI_API_KEY: 'a', CAISSON_MODEL_API_KEY: 'b' }, { apiKey: 'b' }],
    [
      { CAISSON_MODEL_BASE_URL: 'http://localhost:8000/v1/' },
      { demo: false, baseUrl: 'http://localhost:8000/v1', apiKey: null },
    ],
    [{ CAISSON_MODEL: 'other' }, { name: 'other', demo: true }],
  ])('by %j', (environment, model) => {
    expect(loadConfig(environment).model).toMatchObject(model);
  });
});

test('keys of secrets are read, and never shown', () => {
  const keys = [1, 2].map((fill) => Buffer.alloc(32, fill));
  const text = keys.map((key, index) => `${index + 1}:${key.toString('base64')}`).join(', ');
  expect(loadConfig({ CAISSON_SECRETS_KEY: text }).egress.secretKeys).toEqual(
    new Map(keys.map((key, index) => [index + 1, key])),
  );
  const { message } = refusal({ CAISSON_SECRETS_KEY: `1:${keys[0]?.toString('hex')}` });
  expect(message).toContain('CAISSON_SECRETS_KEY (its value is not shown)');
  expect(message).not.toContain('0101');
});

test('further model services, aliases and lists of models are read', () => {
  const { model } = loadConfig({
    CAISSON_MODEL_UPSTREAMS: JSON.stringify({
      anthropic: { baseUrl: 'https://a.example/v1/', apiKey: 'k', keyHeader: 'x-api-key', models: ['claude-*'] },
      own: { baseUrl: 'http://localhost:8000/v1', models: ['my-own'] },
    }),
    CAISSON_MODEL_ALIASES: 'fast=gpt-6-luna, best = claude-opus-5-5',
    CAISSON_MODEL_ALLOWED: '*=gpt-*, fast; Ada Lovelace=*',
    CAISSON_MODEL_MAX_REQUEST_BYTES: '1m',
    CAISSON_MODEL_TIMEOUT: '90s',
  });
  expect(model).toMatchObject({
    upstreams: [
      { name: 'anthropic', baseUrl: 'https://a.example/v1', apiKey: 'k', keyHeader: 'x-api-key', models: ['claude-*'] },
      { name: 'own', baseUrl: 'http://localhost:8000/v1', apiKey: null, keyHeader: 'bearer', models: ['my-own'] },
    ],
    aliases: { fast: 'gpt-6-luna', best: 'claude-opus-5-5' },
    allowed: { '*': ['gpt-*', 'fast'], 'Ada Lovelace': ['*'] },
    maxRequestBytes: 1_048_576,
    timeoutMs: 90_000,
  });
});

describe('a value that is not allowed', () => {
  test.each([
    ['CAISSON_PORT', '70700', 'CAISSON_PORT="70700" must be a whole number from 0 to 65535.'],
    ['CAISSON_PORT', '7070x', 'CAISSON_PORT="7070x" must be a whole number from 0 to 65535.'],
    ['CAISSON_PORT', '1e3', 'whole number'],
    ['CAISSON_HOST', 'a b', 'a host name or an address'],
    ['CAISSON_RUN_TIMEOUT', '5', 'a time with its unit (ms, s, m, h, d) from 1s to 7d'],
    ['CAISSON_RUN_TIMEOUT', '8d', 'from 1s to 7d'],
    ['CAISSON_SANDBOX_MEMORY', '1m', 'from 256m to 1024g'],
    ['CAISSON_SANDBOX_MEMORY', '-1g', 'a size in bytes'],
    ['CAISSON_SANDBOX_CPUS', '0', 'a number from 0.1 to 256'],
    ['CAISSON_SANDBOX_PROVIDER', 'dokcer', 'one of docker'],
    ['CAISSON_LOG_LEVEL', 'loud', 'one of debug, info, warn, error, silent'],
    ['CAISSON_HARNESSES', 'codex,', 'names of harnesses, separated by commas'],
    ['CAISSON_DATA_DIR', 'a\nb', 'a directory'],
    ['CAISSON_MODEL_ALIASES', 'fast', 'pairs such as'],
    ['CAISSON_MODEL_ALIASES', 'fast=a;b', 'pairs such as'],
    ['CAISSON_MODEL_ALLOWED', '*=', 'lists such as'],
    ['CAISSON_MODEL_ALLOWED', '=gpt-*', 'lists such as'],
  ])('%s=%j is named with what is allowed', (name, value, sentence) => {
    const error = refusal({ [name]: value });
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(`${name}=${JSON.stringify(value)}`);
    expect(error.message).toContain(sentence);
  });

  test.each([
    ['OPENAI_API_KEY', 'sk secret'],
    ['CAISSON_MODEL_API_KEY', 'sk-secret\n'],
    ['CAISSON_MODEL_BASE_URL', 'https://user:secret@models.example/v1'],
    ['CAISSON_MODEL_UPSTREAMS', '{"a":{"baseUrl":"https://a.example","apiKey":"secret"}}'],
    ['CAISSON_MODEL_UPSTREAMS', '{"main":{"baseUrl":"https://a.example","apiKey":"secret","models":["*"]}}'],
    ['CAISSON_MODEL_UPSTREAMS', '{"secret'],
  ])('of %s is never shown', (name, value) => {
    const error = refusal({ [name]: value });
    expect(error.message).toContain(`${name} (its value is not shown) must be`);
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  test('every wrong one is named at once', () => {
    const { message } = refusal({ CAISSON_PORT: 'x', CAISSON_MAX_RUNS: '0', CAISSON_COLOUR: 'red' });
    for (const name of ['CAISSON_PORT', 'CAISSON_MAX_RUNS', 'CAISSON_COLOUR']) expect(message).toContain(name);
  });

  test('a body that cannot hold the largest message is refused', () => {
    expect(refusal({ CAISSON_MAX_BODY_BYTES: '16k' }).message).toContain('CAISSON_MAX_MESSAGE_BYTES');
  });
});

describe('an unknown variable', () => {
  test.each([
    ['CAISSON_PROT', 'Did you mean CAISSON_PORT?'],
    ['CAISSON_SANDBOX_MEM', 'Did you mean CAISSON_SANDBOX_MEMORY?'],
    ['CAISSON_MODEL_URL', 'Did you mean CAISSON_MODEL'],
    ['CAISSON_FAVOURITE_COLOUR_OF_THE_DAY', 'is not a setting.'],
  ])('%s is refused', (name, sentence) => {
    expect(refusal({ [name]: '1' }).message).toContain(sentence);
  });

  test('of another program, or of another part of Caisson, is none of our business', () => {
    expect(() =>
      loadConfig({ PATH: '/bin', CAISSON_URL: 'http://x', CAISSON_API_KEY: 'k', CAISSON_BASE_IMAGE: 'x' }),
    ).not.toThrow();
  });
});

test.each([
  ['CAISSON_RUN_TIMEOUT', '1500ms', 'runTimeoutMs', 1_500],
  ['CAISSON_RUN_TIMEOUT', '1.5h', 'runTimeoutMs', 5_400_000],
  ['CAISSON_MAX_BODY_BYTES', '2m', 'maxBodyBytes', 2_097_152],
  ['CAISSON_MAX_BODY_BYTES', '2000000', 'maxBodyBytes', 2_000_000],
  ['CAISSON_ALLOWED_HOSTS', 'a.example, b.example', 'allowedHosts', ['a.example', 'b.example']],
])('%s=%s is read with its unit', (name, value, field, read) => {
  expect(loadConfig({ [name]: value })).toMatchObject({ [field]: read });
});

test('whatever the variables hold, the answer is a configuration or CONFIG_INVALID', () => {
  const names = Object.keys(settingsSchema.shape);
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.string(), fc.integer().map(String))),
      (environment) => {
        try {
          const config = loadConfig(environment);
          expect(Number.isInteger(config.port) && config.runTimeoutMs >= 1_000).toBe(true);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'CONFIG_INVALID' });
        }
      },
    ),
  );
});

test('every setting is described, and takes its own default', () => {
  for (const [name, field] of Object.entries(settingsSchema.shape)) {
    expect(field.description, name).toMatch(/\.$/);
    expect(field.safeParse(undefined).success, name).toBe(true);
  }
});

test('docs/configuration.md is made from the schema (npx vitest run tests/controlplane/config --update writes it)', async () => {
  await expect(describeConfig()).toMatchFileSnapshot('../../../docs/configuration.md');
  // What is asked for a value that nothing allows is not told of.
  expect(describeConfig()).not.toContain('u0000');
});

describe('quotas', () => {
  test('those that are named take the place of the defaults', () => {
    const { quotas } = loadConfig({
      CAISSON_MAX_AGENTS_PER_USER: '7',
      CAISSON_QUOTAS: 'running_sandboxes=3, cost=12.5,requests=none',
    });
    expect(quotas.defaultLimits).toMatchObject({
      agents: 7,
      running_sandboxes: 3,
      cost: 12_500_000,
      requests: null,
      tokens: null,
    });
    expect(loadConfig({}).quotas).toMatchObject({
      defaultLimits: { agents: 20, requests: 60_000 },
      requestsPerKey: 60_000,
    });
  });

  test('one that there is not is named', () => {
    expect(() => loadConfig({ CAISSON_QUOTAS: 'fame=3' })).toThrow(
      /CAISSON_QUOTAS="fame=3" must be .*there is no quota "fame", only agents/,
    );
  });
});

describe('signing in', () => {
  const provider = { CAISSON_OIDC_ISSUER: 'https://login.example.com/', CAISSON_OIDC_CLIENT_ID: 'caisson' };

  test('is at loopback with passwords where nothing is said', () => {
    expect(loadConfig({}).login).toEqual({
      publicUrl: null,
      sessionIdleMs: 12 * 3_600_000,
      sessionLifeMs: 7 * 86_400_000,
      oidc: null,
      openDomains: [],
    });
  });

  test('at a provider takes its name to the letter, and the public name is answered to', () => {
    const { login, allowedHosts } = loadConfig({
      ...provider,
      CAISSON_OIDC_CLIENT_SECRET_FILE: 'secret',
      CAISSON_OIDC_DOMAINS: 'Example.com, example.org',
      CAISSON_PUBLIC_URL: 'https://caisson.example.com',
    });
    expect(login).toMatchObject({
      oidc: { issuer: 'https://login.example.com/', clientSecret: null, clientSecretFile: resolve('secret') },
      openDomains: ['example.com', 'example.org'],
    });
    expect(allowedHosts).toEqual(['caisson.example.com']);
  });

  test.each([
    [{ CAISSON_OIDC_ISSUER: 'https://login.example.com' }, 'go together'],
    [{ CAISSON_OIDC_CLIENT_ID: 'caisson' }, 'go together'],
    [{ CAISSON_OIDC_DOMAINS: 'example.com' }, 'need CAISSON_OIDC_ISSUER'],
    [{ ...provider, CAISSON_OIDC_ISSUER: 'http://login.example.com' }, 'an https address'],
    [{ ...provider, CAISSON_OIDC_ISSUER: 'https://user:pass@login.example.com' }, 'an https address'],
    [{ ...provider, CAISSON_OIDC_CLIENT_SECRET: 'a', CAISSON_OIDC_CLIENT_SECRET_FILE: 'b' }, 'not both'],
    [{ CAISSON_PUBLIC_URL: 'https://caisson.example.com/path' }, 'nothing after the host and port'],
    [{ CAISSON_PUBLIC_URL: 'http://app.preview.localhost' }, 'must not lie in the preview domain'],
    [{ CAISSON_SESSION_IDLE: '1m' }, 'from 5m to 90d'],
  ])('with %j is refused', (environment, reason) => {
    expect(refusal(environment).message).toContain(reason);
  });

  test('never shows the secret of the client', () => {
    expect(refusal({ ...provider, CAISSON_OIDC_CLIENT_SECRET: 'the secret' }).message).not.toContain('the secret');
  });
});
