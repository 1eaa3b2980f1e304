import type { AgentId, KeyId, PreviewId, UserId } from '../../kernel/ids.ts';

/**
 * Who gets in with a link. `owner`: the one browser that opens it first; the link is spent then. `shared`: anyone who has
 * the link, any number of times.
 */
export const previewAccess = ['owner', 'shared'] as const;
export type PreviewAccess = (typeof previewAccess)[number];

/** A way to one port of an agent's sandbox. The token of its link is shown once, when it is made, and kept as a hash. */
export interface Preview {
  readonly id: PreviewId;
  readonly agentId: AgentId;
  readonly port: number;
  readonly access: PreviewAccess;
  readonly createdBy: UserId;
  /** The key that it was made with. It ends with it. */
  readonly keyId: KeyId;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** When the link was opened first. */
  readonly openedAt: number | null;
  readonly revokedAt: number | null;
}

/** Where previews are kept. They go with their agent. */
export interface PreviewStore {
  /**
   * Atomic. False, and nothing is stored, when `mostActive` previews of the agent are neither expired nor revoked at
   * `preview.createdAt`. Of those that are over, the newest ones are kept, so that there are at most `mostKept` in all.
   */
  insertPreview(
    preview: Preview,
    options: { readonly tokenHash: string; readonly mostActive: number; readonly mostKept: number },
  ): Promise<boolean>;
  findPreview(id: PreviewId): Promise<Preview | undefined>;
  findPreviewByToken(tokenHash: string): Promise<Preview | undefined>;
  /** The newest first: all that are kept. */
  listPreviews(agentId: AgentId): Promise<readonly Preview[]>;
  /** True for the one call that is the first. Atomic. */
  markPreviewOpened(id: PreviewId, at: number): Promise<boolean>;
  /** Those that are revoked already keep their time. */
  revokePreview(id: PreviewId, at: number): Promise<void>;
  revokePreviewsOfKey(keyId: KeyId, at: number): Promise<void>;
}

export type PreviewState = 'active' | 'expired' | 'revoked';

export function previewState({ expiresAt, revokedAt }: Preview, now: number): PreviewState {
  if (revokedAt !== null) return 'revoked';
  return expiresAt <= now ? 'expired' : 'active';
}
