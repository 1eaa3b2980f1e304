import { once } from 'node:events';
import { type IncomingMessage, request as startRequest, type RequestListener, type RequestOptions } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { type Audit, openAudit } from '../../../../src/controlplane/audit/open-audit.ts';
import { auditedSecretUses } from '../../../../src/controlplane/audit/secret-use.ts';
import { type KeyPair, newAuthority, newLeaf } from '../../../../src/controlplane/egress/secrets/authority.ts';
import type { SecretKeys } from '../../../../src/controlplane/egress/secrets/keyring.ts';
import { openSecrets, type Secrets } from '../../../../src/controlplane/egress/secrets/open-secrets.ts';
import type { SecretForm, SecretScope } from '../../../../src/controlplane/egress/secrets/secret.ts';
import { openStorage, type Storage } from '../../../../src/controlplane/storage/open-storage.ts';
import type { ConnectTo } from '../../../../src/controlplane/egress/dial.ts';
import type { EgressLimits } from '../../../../src/controlplane/egress/egress-limits.ts';
import { systemClock } from '../../../../src/kernel/clock.ts';
import { type AgentId, newUserId, type SecretId, type UserId } from '../../../../src/kernel/ids.ts';
import { anAgent } from '../../../contracts/store-records.ts';
import { dataDirectory } from '../../storage/data-directory.ts';
import { recordingLogger, type LoggedLine } from '../../recording-logger.ts';
import { type EgressFixture, listen, openEgress } from '../egress-fixture.ts';

/** What a host was asked, in full. */
interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Host extends AsyncDisposable {
  readonly port: number;
  readonly asked: Asked[];
}

export interface SecretsFixture extends AsyncDisposable {
  readonly egress: EgressFixture;
  readonly secrets: Secrets;
  readonly storage: Storage;
  readonly agentId: AgentId;
  readonly ownerId: UserId;
  /** All that was logged. */
  readonly log: readonly LoggedLine[];
  readonly audit: Audit;
  /** Whom the gateway trusts to vouch for hosts. */
  readonly world: KeyPair;
  /** Sets a secret, of the agent where nothing else is said. */
  give(place: {
    readonly host?: string;
    readonly port: number;
    readonly form?: SecretForm;
    readonly value?: string;
    readonly scope?: SecretScope;
  }): Promise<SecretId>;
  /** A connection of a program in the sandbox, in TLS that trusts what the sandbox does. */
  open(port: number, host?: string): Promise<TLSSocket>;
  /** A request of a program in the sandbox. */
  ask(
    port: number,
    options?: RequestOptions & { readonly body?: string; readonly on?: Socket },
  ): Promise<{ readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: string }>;
}

export const hostName = 'api.caisson.test';
export const token = 'ghp_0123456789abcdefghijklmnopqrstuv';

interface FixtureOptions {
  readonly keys?: SecretKeys;
  readonly limits?: Partial<EgressLimits>;
  readonly connectTo?: ConnectTo;
}

/** A real guest, a real gateway, real secrets in a real store. Every name is this machine. */
export async function openSecretEgress({ keys, limits, connectTo }: FixtureOptions = {}): Promise<SecretsFixture> {
  await using undo = new AsyncDisposableStack();
  const directory = undo.use(dataDirectory());
  const storage = await openStorage(directory.path);
  undo.defer(() => storage.close());
  const ownerId = newUserId();
  await storage.identities.insertUser({ id: ownerId, name: 'owner', role: 'member', createdAt: 1, disabledAt: null });
  const agent = anAgent({ ownerId });
  await storage.agents.transaction((tx) => tx.insertAgent(agent));
  const agentId = agent.id;
  const log: LoggedLine[] = [];
  const world = await newAuthority('the world', Date.now());
  const audit = undo.use(
    await openAudit({
      store: storage.audit,
      flushed: () => storage.flushed(),
      keepMs: 86_400_000,
      clock: systemClock,
      logger: recordingLogger(log),
    }),
  );
  const secrets = undo.use(
    await openSecrets({
      store: storage.secrets,
      agents: storage.agents,
      dataDir: directory.path,
      keys: keys ?? null,
      extraAuthorities: world.certificate,
      useLog: auditedSecretUses(audit.trail),
      clock: systemClock,
      logger: recordingLogger(log),
    }),
  );
  const egress = undo.use(
    await openEgress({
      agentId,
      secrets: secrets.ofGateway,
      ...(limits && { limits }),
      ...(connectTo && { connectTo }),
    }),
  );
  const open = async (port: number, host = hostName): Promise<TLSSocket> => {
    const { socket, status } = await egress.tunnel(`${host}:${port}`);
    if (status !== 200) throw new Error(`the proxy answers ${status}`);
    const ca = await secrets.authorities.certificateOf(agentId);
    const side = connect({ socket, servername: host, ca: [ca], ALPNProtocols: ['h2', 'http/1.1'] });
    side.on('error', () => undefined); // heard by `once`
    await once(side, 'secureConnect');
    return side;
  };
  const held = undo.move();
  return {
    egress,
    secrets,
    storage,
    agentId,
    ownerId,
    log,
    audit,
    world,
    async give({
      host = hostName,
      port,
      form = { kind: 'bearer' },
      value = token,
      scope = { kind: 'agent', agentId },
    }) {
      return (await secrets.hostSecrets.set(scope, { host, port, form, value, by: ownerId })).id;
    },
    open,
    async ask(port, { body, on, ...options } = {}) {
      const socket = on ?? (await open(port));
      const request = startRequest({ host: hostName, port, ...options, createConnection: () => socket });
      request.on('error', () => undefined); // heard by `once`, and by who reads the answer
      request.end(body);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** A host in TLS on a free port of this machine, with a certificate of `authority`. */
export async function startHost(
  authority: KeyPair,
  {
    answer = (_request, response) => void response.end('hello'),
    name = hostName,
    at = Date.now(),
  }: { readonly answer?: RequestListener; readonly name?: string; readonly at?: number } = {},
): Promise<Host> {
  const { certificate: cert, privateKey: key } = await newLeaf(authority, name, at);
  const asked: Asked[] = [];
  const server = createServer({ cert, key }, (request, response) => {
    void text(request).then(
      (body) => {
        const { method = '', url = '', headers, rawHeaders } = request;
        asked.push({ method, url, headers, rawHeaders, body });
        answer(request, response);
      },
      () => response.destroy(), // it broke off
    );
  });
  const listening = await listen(server);
  return { port: listening.port, asked, [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose]() };
}
