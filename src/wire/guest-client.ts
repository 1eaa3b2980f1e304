import type { ClientHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import * as z from 'zod';
import { CaissonError } from '../kernel/errors.ts';
import type { ConversationId, PermissionId, RunId } from '../kernel/ids.ts';
import { ChangesClient } from './changes-client.ts';
import { connectHttp2 } from './connect-http2.ts';
import { trustPath } from './contract/egress.ts';
import {
  type GuestHealth,
  guestHealthSchema,
  guestPaths,
  leaseHeader,
  type PermissionAnswer,
} from './contract/guest-api.ts';
import type { JournalEntry } from './contract/journal-entry.ts';
import { type SessionSpec, type TurnRequest, type TurnStatus, turnStatusSchema } from './contract/turn.ts';
import { FilesClient } from './files-client.ts';
import { readJournalStream } from './journal-stream.ts';
import type { KeepAliveOptions } from './keep-alive.ts';
import { ProcessesClient } from './processes-client.ts';
import { PortsClient } from './ports-client.ts';
import { type JsonRequest, requestJson } from './requests.ts';
import { TerminalsClient } from './terminals-client.ts';
import { Transport } from './transport.ts';
import type { WireSession } from './wire-session.ts';

/** Bringing a harness up and loading a long session takes its time. */
const openSessionTimeoutMs = 120_000;

const nothingSchema = z.object({});

export interface GuestClientOptions {
  readonly keepAlive?: KeepAliveOptions;
}

/**
 * The guest as its control plane sees it, over one inward session. Every call rejects with WIRE_LOST once the session is
 * gone; a new one needs a new client. Calls that drive the harness need `takeLease` first.
 */
export class GuestClient {
  readonly #wire: WireSession<ClientHttp2Session>;
  /** Resolves, never rejects, when the session is over: with what broke it, or undefined. */
  readonly closed: Promise<Error | undefined>;
  readonly processes: ProcessesClient;
  /** What the agent changed. */
  readonly changes: ChangesClient;
  readonly files: FilesClient;
  readonly terminals: TerminalsClient;
  /** What listens in the sandbox. */
  readonly ports: PortsClient;
  #epoch: number | undefined;

  /** Takes `duplex` over. */
  constructor(duplex: Duplex, options: GuestClientOptions = {}) {
    this.#wire = connectHttp2(new Transport(duplex), options.keepAlive);
    this.changes = new ChangesClient(this.#wire.session);
    this.files = new FilesClient(this.#wire.session);
    this.ports = new PortsClient(this.#wire.session);
    this.closed = this.#wire.closed;
    this.processes = new ProcessesClient(this.#wire.session);
    this.terminals = new TerminalsClient(this.#wire.session);
  }

  /** False as soon as no call can succeed any more; `closed` resolves a little later. */
  get isOpen(): boolean {
    return !this.#wire.session.closed && !this.#wire.session.destroyed;
  }

  health(signal?: AbortSignal): Promise<GuestHealth> {
    return this.#ask({ method: 'GET', path: guestPaths.health, answer: guestHealthSchema, signal });
  }

  /** Replaces the certificate authorities that the sandbox trusts besides those of its image (PEM; empty for none). */
  async trust(extraAuthorities: string, signal?: AbortSignal): Promise<void> {
    await this.#ask({ method: 'PUT', path: trustPath, body: { extraAuthorities }, answer: nothingSchema, signal });
  }

  /** Makes this client the one that drives the harness, or rejects with STALE_LEASE. */
  async takeLease(epoch: number): Promise<void> {
    await this.#ask({ method: 'PUT', path: guestPaths.lease, body: { epoch }, answer: nothingSchema });
    this.#epoch = epoch;
  }

  /** Entries after `after`, live, in batches of what has arrived. Ends only by throwing; see `readJournalStream`. */
  readJournal(options: {
    readonly after: number;
    readonly signal?: AbortSignal;
  }): AsyncIterable<readonly JournalEntry[]> {
    return readJournalStream(this.#wire.session, { ...options, epoch: this.#leased() });
  }

  /** Tells the guest that all entries up to `seq` are stored. It forgets them. */
  async acknowledge(seq: number): Promise<void> {
    await this.#drive({ method: 'POST', path: guestPaths.journalAck, body: { seq }, answer: nothingSchema });
  }

  /** Opens the conversation's session ahead of its first turn. May take as long as the harness needs to start, up to 120 s. */
  async openSession(spec: SessionSpec, signal?: AbortSignal): Promise<void> {
    const path = guestPaths.session(spec.conversationId);
    const timeoutMs = openSessionTimeoutMs;
    await this.#drive({ method: 'PUT', path, body: spec, answer: nothingSchema, timeoutMs, signal });
  }

  async closeSession(conversationId: ConversationId): Promise<void> {
    await this.#drive({ method: 'DELETE', path: guestPaths.session(conversationId), answer: nothingSchema });
  }

  /** Asking twice in one incarnation starts one turn. */
  startTurn(runId: RunId, request: TurnRequest): Promise<TurnStatus> {
    return this.#drive({ method: 'PUT', path: guestPaths.turn(runId), body: request, answer: turnStatusSchema });
  }

  turnStatus(runId: RunId): Promise<TurnStatus> {
    return this.#ask({ method: 'GET', path: guestPaths.turn(runId), answer: turnStatusSchema });
  }

  /** Resolves when the turn was told to end; `turn.ended` follows in the journal. */
  cancelTurn(runId: RunId): Promise<TurnStatus> {
    return this.#drive({ method: 'POST', path: guestPaths.turnCancel(runId), body: {}, answer: turnStatusSchema });
  }

  /** Rejects with PERMISSION_NOT_PENDING when it was answered before, or has expired. */
  async answerPermission(permissionId: PermissionId, answer: PermissionAnswer): Promise<void> {
    const path = guestPaths.permission(permissionId);
    await this.#drive({ method: 'POST', path, body: answer, answer: nothingSchema });
  }

  /** Ends the session at once; open calls reject with WIRE_LOST. */
  close(): Promise<void> {
    return this.#wire.close().then(() => undefined);
  }

  #ask<Answer>(request: JsonRequest<Answer>): Promise<Answer> {
    return requestJson(this.#wire.session, { ...request, use: 'own' });
  }

  async #drive<Answer>(request: JsonRequest<Answer>): Promise<Answer> {
    return this.#ask({ ...request, headers: { [leaseHeader]: this.#leased() } });
  }

  #leased(): number {
    if (this.#epoch === undefined) throw new CaissonError('STALE_LEASE', 'This client has not taken the lease.');
    return this.#epoch;
  }
}
