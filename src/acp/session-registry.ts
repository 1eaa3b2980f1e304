import { methods } from '@agentclientprotocol/sdk/unstable';
import * as z from 'zod';
import type { Clock } from '../kernel/clock.ts';
import { CaissonError, errorText } from '../kernel/errors.ts';
import type { ConversationId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { journalBounds } from '../wire/contract/journal-bounds.ts';
import type { SessionSpec } from '../wire/contract/turn.ts';
import { choose, ChoiceError } from './choose.ts';
import { ConversationSession } from './conversation-session.ts';
import type { HarnessSink } from './harness.ts';
import { HarnessGoneError, type HarnessProcess } from './harness-process.ts';
import { openSession } from './open-session.ts';
import type { ProcessHost } from './process-host.ts';
import type { UnnamedChunks } from './projection/session-projection.ts';
import { offerOf, type SandboxModes } from './session-choices.ts';

/** How long a harness may take to open a session as it is wanted before it is taken for dead and killed. */
const openTimeoutMs = 60_000;
/** How long a harness may take to close a session, which ends the commands in it, before it is killed. */
const closeTimeoutMs = 3_000;

const notificationSchema = z.object({ sessionId: z.string(), update: z.unknown() });

export interface SessionRegistryOptions {
  readonly host: ProcessHost;
  readonly sink: HarnessSink;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The model that the harness is started with. */
  readonly launchModel: string | null;
  readonly unnamedChunks: UnnamedChunks;
  readonly modes: SandboxModes | null;
}

/** The sessions of all conversations: one a conversation, from its first use until it is closed for good. */
export class SessionRegistry {
  readonly #sessions = new Map<ConversationId, ConversationSession>();
  readonly #routes = new Map<string, ConversationSession>();
  readonly #options: SessionRegistryOptions;

  constructor(options: SessionRegistryOptions) {
    this.#options = options;
  }

  of(conversationId: ConversationId): ConversationSession {
    const known = this.#sessions.get(conversationId);
    if (known !== undefined) return known;
    const session = new ConversationSession(conversationId, this.#options);
    this.#sessions.set(conversationId, session);
    return session;
  }

  byHarnessId(sessionId: string): ConversationSession | undefined {
    return this.#routes.get(sessionId);
  }

  /** Hands the params of a `session/update` to its session. */
  deliver(params: unknown): void {
    const parsed = notificationSchema.safeParse(params);
    const session = parsed.success ? this.#routes.get(parsed.data.sessionId) : undefined;
    if (parsed.success && session !== undefined) session.update(parsed.data.update);
    else
      this.#options.logger.warn(
        { sessionId: parsed.data?.sessionId },
        'the harness sent an update of no known session',
      );
  }

  /**
   * The process that has the session open, with the model and the mode that are wanted; opens the session, and starts the
   * harness, where that is needed.
   *
   * @throws HARNESS_FAILED when the harness cannot be started, HarnessGoneError when it ends meanwhile, ChoiceError when
   *   it lacks the model or the mode, or what it answered.
   */
  open(spec: SessionSpec): Promise<HarnessProcess> {
    const { host, clock } = this.#options;
    const session = this.of(spec.conversationId);
    return session.changes.run(async () => {
      const process = await host.need();
      const cancelTimeout = clock.schedule(openTimeoutMs, () => process.kill('it did not open a session in time'));
      try {
        await this.#openAsWanted(process, session, spec);
        return process;
      } catch (error) {
        throw process.isEnding ? new HarnessGoneError(await process.exited) : error;
      } finally {
        cancelTimeout();
      }
    });
  }

  /**
   * Closes a session so that the commands in it end, where the harness can open it again afterwards. A harness that does
   * not do it in time is killed.
   */
  suspend(session: ConversationSession): Promise<void> {
    return session.changes.run(async () => {
      const capabilities = session.process?.capabilities;
      const canReopen = capabilities?.sessionCapabilities?.resume != null || capabilities?.loadSession === true;
      if (canReopen) await this.#close(session);
    });
  }

  /** Closes a session for good and forgets it. Its turn must have ended. */
  async remove(session: ConversationSession): Promise<void> {
    await session.changes.run(() => this.#close(session));
    if (this.#sessions.get(session.conversationId) === session) this.#sessions.delete(session.conversationId);
    if (session.sessionId !== null) this.#routes.delete(session.sessionId);
  }

  readonly #route = (sessionId: string, session: ConversationSession): void => {
    if (session.sessionId !== null) this.#routes.delete(session.sessionId);
    session.sessionId = sessionId;
    this.#routes.set(sessionId, session);
  };

  async #openAsWanted(process: HarnessProcess, session: ConversationSession, spec: SessionSpec): Promise<void> {
    const { launchModel } = this.#options;
    if (session.process !== process) await this.#open(process, session, spec);
    if ((await choose(process, session, spec, launchModel)) === 'chosen') return;
    await this.#close(session);
    if (session.process !== process) await this.#open(process, session, spec);
    if ((await choose(process, session, spec, launchModel)) === 'chosen') return;
    throw new ChoiceError(`The harness no longer offers the model "${session.unchosen.model}" that it began with.`);
  }

  async #open(process: HarnessProcess, session: ConversationSession, spec: SessionSpec): Promise<void> {
    const { sink, logger } = this.#options;
    const how = await openSession(process, session, spec, { logger, route: this.#route });
    const { conversationId, sessionId } = session;
    const offer = offerOf(session.choices, session.unchosen);
    if (sessionId !== null && sessionId.length > journalBounds.id) {
      const message = `The harness calls its session by an id of ${sessionId.length} characters.`;
      throw new CaissonError('HARNESS_FAILED', message, { hint: `Caisson takes at most ${journalBounds.id}.` });
    }
    session.process = process;
    if (sessionId !== null) sink.append({ type: 'session.opened', conversationId, sessionId, how, ...offer });
  }

  async #close(session: ConversationSession): Promise<void> {
    const { process, sessionId } = session;
    if (process === null || process.isEnding || sessionId === null) return;
    if (process.capabilities.sessionCapabilities?.close == null) return;
    const cancelTimeout = this.#options.clock.schedule(closeTimeoutMs, () =>
      process.kill('it did not close a session'),
    );
    try {
      await process.agent.request(methods.agent.session.close, { sessionId });
      session.process = null;
    } catch (error) {
      // The commands may still run, and only the end of the harness ends them for sure.
      if (!process.isEnding) process.kill(`it refused to close a session: ${errorText(error)}`);
    } finally {
      cancelTimeout();
    }
  }
}
