import type { KeyId, UserId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditTrail } from '../audit/audit-trail.ts';
import type { Principal, SignIn } from '../auth/identity.ts';

/** From where a browser asks, as far as it can be known. */
export interface Visitor {
  /** Of the network; that of the browser where proxies before us are trusted. */
  readonly address: string;
  /** What the browser calls itself; at most 200 characters. */
  readonly browser: string;
}

/** Whose session it is: by name too, as records outlive people. */
export type Whose = Pick<Principal, 'userId' | 'userName'>;

export type RefusalReason =
  'wrong_credentials' | 'too_many_attempts' | 'not_invited' | 'invitation_invalid' | 'provider_refused';

export type EndReason =
  'signed_out' | 'revoked' | 'signed_in_again' | 'password_changed' | 'too_many_sessions' | 'idle' | 'expired';

/** Is told of everybody who signs in, is refused, and whose session ends. Must not throw. */
export interface SessionLog {
  created(entry: {
    readonly whose: Whose;
    readonly sessionId: KeyId;
    readonly signedInBy: SignIn;
    readonly visitor: Visitor;
  }): void;
  /** `userId`: whom it was about, where that is known. Neither emails nor passwords are told: people mix them up. */
  refused(entry: {
    readonly userId: UserId | null;
    readonly signIn: SignIn;
    readonly reason: RefusalReason;
    readonly visitor: Visitor;
  }): void;
  ended(entry: { readonly whose: Whose; readonly sessionIds: readonly KeyId[]; readonly reason: EndReason }): void;
}

/** Into the server's log, and for good into the audit. */
export function sessionLogOf(logger: Logger, audit: Pick<AuditTrail, 'tell'>): SessionLog {
  return {
    created({ whose: { userId, userName }, sessionId, signedInBy, visitor }) {
      logger.info({ userId, sessionId, signedInBy, ...visitor }, 'somebody signed in');
      const { address, browser } = visitor;
      audit.tell({
        action: 'session.created',
        by: { userId, userName, keyId: sessionId },
        targets: [sessionId],
        address,
        details: { signedInBy, browser },
      });
    },
    refused({ visitor, ...entry }) {
      logger.warn({ ...entry, ...visitor }, 'a sign-in was refused');
      const { userId, signIn, reason } = entry;
      audit.tell({
        action: 'session.refused',
        targets: userId === null ? [] : [userId],
        address: visitor.address,
        details: { signIn, reason },
        outcome: 'UNAUTHORIZED',
      });
    },
    ended({ whose: { userId, userName }, sessionIds, reason }) {
      logger.info({ userId, sessionIds, reason }, 'sessions ended');
      audit.tell({ action: 'session.ended', by: { userId, userName }, targets: sessionIds, details: { reason } });
    },
  };
}
