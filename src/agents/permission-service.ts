import { deadline, orAbort } from '../kernel/deadline.ts';
import { CaissonError } from '../kernel/errors.ts';
import type { AgentId, PermissionId, UserId } from '../kernel/ids.ts';
import type { HarnessEvent } from '../wire/contract/harness-event.ts';
import type { AgentStore, Guest, Page, PageRequest, PermissionFilter, Sandboxes } from './ports.ts';
import type { Permission } from './permission.ts';

type PermissionResolved = Extract<HarnessEvent, { type: 'permission.resolved' }>;

/** Requests with an answer that is on its way to a guest or into its journal: at most this many, the oldest go first. */
const rememberedRequests = 10_000;

/** How long an answer waits for the wire. */
const reattachTimeoutMs = 10_000;

/**
 * Who answered what, by the control plane's own knowledge: a guest may say which of several answers came first, but it
 * is not believed when it names anybody else. What a control plane forgets by being killed between an answer and its
 * resolution is recorded as answered by nobody known.
 */
export class AnsweredPermissions {
  readonly #answers = new Map<PermissionId, Set<UserId>>();

  remember(permissionId: PermissionId, by: UserId): void {
    const those = this.#answers.get(permissionId) ?? new Set();
    this.#answers.set(permissionId, those.add(by));
    const oldest = this.#answers.keys().next();
    if (this.#answers.size > rememberedRequests && oldest.done !== true) this.#answers.delete(oldest.value);
  }

  /** The one who gave the answer that counted: the only one who answered, or the one of them whom the guest names. */
  take({ permissionId, outcome, resolvedBy }: PermissionResolved): UserId | null {
    const those = [...(this.#answers.get(permissionId) ?? [])];
    this.#answers.delete(permissionId);
    if (outcome !== 'allowed' && outcome !== 'rejected') return null; // an answer that came too late
    return (those.length === 1 ? those[0] : those.find((by) => by === resolvedBy)) ?? null;
  }
}

/** Open questions of the agents, and their answers. The guest holds the question: it decides whether an answer came in time. */
export class PermissionService {
  readonly #store: AgentStore;
  readonly #sandboxes: Sandboxes;
  readonly #answers: AnsweredPermissions;

  constructor(dependencies: { store: AgentStore; sandboxes: Sandboxes; answers: AnsweredPermissions }) {
    this.#store = dependencies.store;
    this.#sandboxes = dependencies.sandboxes;
    this.#answers = dependencies.answers;
  }

  async get(id: PermissionId): Promise<Permission> {
    const permission = await this.#store.findPermission(id);
    if (permission === undefined)
      throw new CaissonError('PERMISSION_NOT_FOUND', `There is no permission request ${id}.`);
    return permission;
  }

  /** The pending ones, oldest first. */
  async list(filter: PermissionFilter, page: PageRequest): Promise<Page<Permission>> {
    return await this.#store.listPendingPermissions(filter, page);
  }

  /**
   * Gives the answer to the guest: one of the request's options, or null to refuse. Resolves when the guest has taken it;
   * the `permission.resolved` event follows. Of several answers the first counts.
   * Errors: PERMISSION_NOT_FOUND, PERMISSION_NOT_PENDING, BAD_REQUEST (no such option), WIRE_LOST (nothing was answered, or
   * it is unknown: look at the request again).
   */
  async respond(answer: { permissionId: PermissionId; optionId: string | null; by: UserId }): Promise<void> {
    const { permissionId, optionId, by } = answer;
    const permission = await this.get(permissionId);
    if (permission.state !== 'pending') {
      throw new CaissonError('PERMISSION_NOT_PENDING', `The request is resolved: ${permission.resolution.outcome}.`);
    }
    if (optionId !== null && !permission.options.some((option) => option.optionId === optionId)) {
      throw new CaissonError('BAD_REQUEST', `The request has no option ${JSON.stringify(optionId)}.`, {
        hint: `Choose one of: ${permission.options.map((option) => option.optionId).join(', ')}.`,
      });
    }
    const guest = await this.#guestOf(permission.agentId);
    if (guest === undefined || guest.incarnation !== permission.incarnation) {
      throw new CaissonError('WIRE_LOST', 'The sandbox that asks is not reachable right now.');
    }
    this.#answers.remember(permissionId, by);
    await guest.answerPermission(permissionId, { optionId, resolvedBy: by });
  }

  /** A wire that is being restored is waited for, for a moment. */
  async #guestOf(agentId: AgentId): Promise<Guest | undefined> {
    const agent = await this.#store.findAgent(agentId);
    if (agent === undefined) return undefined;
    using limit = deadline(reattachTimeoutMs, 'Reaching the sandbox');
    try {
      return await orAbort(this.#sandboxes.reattach(agent), limit.signal);
    } catch (cause) {
      throw new CaissonError('WIRE_LOST', 'The sandbox that asks is not reachable right now.', { cause });
    }
  }
}
