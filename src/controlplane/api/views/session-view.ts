import type { z } from 'zod';
import type { ApiKey, Principal } from '../../auth/identity.ts';
import type { sessionSchema } from '../schemas/session.ts';

export function sessionView(session: ApiKey, by: Principal): z.input<typeof sessionSchema> {
  const { id, name, signedInBy, createdAt, lastUsedAt, expiresAt } = session;
  return {
    id,
    browser: name,
    signedInBy: signedInBy ?? 'password',
    createdAt,
    lastUsedAt: lastUsedAt ?? createdAt,
    expiresAt: expiresAt ?? createdAt,
    isCurrent: id === by.keyId,
  };
}
