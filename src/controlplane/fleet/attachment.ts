import type { Duplex } from 'node:stream';
import type { Guest, SandboxObserver } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { deadline } from '../../kernel/deadline.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, IncarnationId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { SandboxProvider, WireChannel } from '../../sandbox-providers/contract/index.ts';
import { guestProtocol } from '../../wire/contract/guest-api.ts';
import { GuestClient } from '../../wire/guest-client.ts';
import { type OutwardHandler, serveOutward } from '../../wire/serve-outward.ts';
import { pumpJournal } from './journal-pump.ts';

export interface AttachOptions {
  readonly agentId: AgentId;
  readonly provider: SandboxProvider;
  readonly observer: SandboxObserver;
  /** Answers what the agent's guest asks of the control plane. */
  readonly outward: OutwardHandler;
  /** Answers what it asks of the world. */
  readonly egress: OutwardHandler;
  /** What the agent's sandbox is to trust besides the certificate authorities of its image, as PEM. */
  readonly authoritiesFor: (agentId: AgentId) => Promise<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface AttachBounds {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The wire to one guest, up: its channels, the lease, and the journal being read. */
export interface Attachment {
  /** What drives the harness. */
  readonly guest: Guest;
  /** What reaches the workspace: files, processes, terminals, ports. */
  readonly client: GuestClient;
  /** False from the moment at which the wire is known to be broken, which is before `closed` resolves. */
  readonly isOpen: boolean;
  /** Resolves when the wire is down, with what broke it. Never rejects. */
  readonly closed: Promise<CaissonError>;
  close(): Promise<void>;
}

/**
 * Opens the channels to a running guest, takes its lease and begins to read its journal where the store ends.
 * What was opened is closed again when it fails. Errors: SANDBOX_NOT_RUNNING, WIRE_LOST, GUEST_PROTOCOL,
 * DEADLINE_EXCEEDED.
 */
export async function attach(options: AttachOptions, bounds: AttachBounds): Promise<Attachment> {
  const { agentId, provider, observer, clock, logger } = options;
  using limit = deadline(bounds.timeoutMs, `Attaching to the sandbox of ${agentId}`, bounds.signal);
  await using opened = new AsyncDisposableStack();
  const connect = async (channel: WireChannel, signal: AbortSignal): Promise<Duplex> => {
    const stream = await provider.connect(agentId, channel, signal);
    stream.on('error', () => undefined); // it may break before it is taken over, as when the guest is killed: its session tells
    return stream;
  };
  const connecting = (['inward', 'outward'] as const).map((channel) => connect(channel, limit.signal));
  const authorities = options.authoritiesFor(agentId);
  authorities.catch(() => undefined); // heard below, unless something else fails first
  // Waited for when it is known that the guest speaks our protocol: one of earlier does not listen there.
  const abandoned = new AbortController();
  const connectingEgress = connect('egress', AbortSignal.any([limit.signal, abandoned.signal]));
  connectingEgress.catch(() => undefined); // heard below, unless something else fails first
  opened.defer(() => {
    abandoned.abort(new CaissonError('WIRE_LOST', `Attaching to the sandbox of ${agentId} was given up.`));
    void connectingEgress.then(
      (channel) => channel.destroy(),
      () => undefined, // it was never there
    );
  });
  const channels = await Promise.allSettled(connecting);
  for (const channel of channels) if (channel.status === 'fulfilled') opened.defer(() => void channel.value.destroy());
  const [inward, outward] = channels;
  if (inward?.status !== 'fulfilled') throw inward?.reason;
  if (outward?.status !== 'fulfilled') throw outward?.reason;

  const client = new GuestClient(inward.value);
  opened.defer(() => client.close());
  const health = await client.health(limit.signal);
  if (health.protocol !== guestProtocol || health.agentId !== agentId) {
    throw new CaissonError(
      'GUEST_PROTOCOL',
      `The guest of ${agentId} speaks protocol ${health.protocol} for ${health.agentId}; ${guestProtocol} was expected.`,
    );
  }
  await client.trust(await authorities, limit.signal);
  const { incarnation } = health;
  const { journalPosition, leaseEpoch } = await observer.sandboxAttached(agentId, incarnation);
  await client.takeLease(leaseEpoch);
  const onHandlerError = (thrown: unknown): void =>
    logger.warn({ agentId, err: thrown }, 'a request of a guest could not be answered');
  const servers = {
    outward: serveOutward(outward.value, options.outward, { onHandlerError }),
    egress: serveOutward(await connectingEgress, options.egress, { channel: 'egress', onHandlerError }),
  };
  for (const server of Object.values(servers)) opened.defer(() => server.close());

  const held = opened.move();
  const pump = pumpJournal({ client, observer, agentId, incarnation, after: journalPosition, clock, logger });
  const closed = Promise.race([
    pump,
    client.closed.then((cause) => wireLost(agentId, 'inward', cause)),
    ...Object.entries(servers).map(([channel, { closed: over }]) =>
      over.then((cause) => wireLost(agentId, channel, cause)),
    ),
  ]).then(async (reason) => {
    await held.disposeAsync();
    return reason;
  });
  return {
    guest: drive(client, incarnation),
    client,
    get isOpen() {
      return client.isOpen;
    },
    closed,
    async close() {
      await client.close();
      await closed;
    },
  };
}

function drive(client: GuestClient, incarnation: IncarnationId): Guest {
  return {
    incarnation,
    openSession: (spec) => client.openSession(spec),
    closeSession: (conversationId) => client.closeSession(conversationId),
    startTurn: (runId, request) => client.startTurn(runId, request),
    turnStatus: (runId) => client.turnStatus(runId),
    cancelTurn: (runId) => client.cancelTurn(runId),
    answerPermission: (permissionId, answer) => client.answerPermission(permissionId, answer),
  };
}

function wireLost(agentId: AgentId, channel: string, cause: Error | undefined): CaissonError {
  return new CaissonError('WIRE_LOST', `The ${channel} wire to the sandbox of ${agentId} broke.`, { cause });
}
