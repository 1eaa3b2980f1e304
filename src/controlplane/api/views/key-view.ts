import type { z } from 'zod';
import type { KeyWithUser } from '../../auth/identity.ts';
import type { keySchema } from '../schemas/key.ts';

/** A key as the API tells it. */
export function keyView({ key, user }: KeyWithUser): z.input<typeof keySchema> {
  const { userId: _, ...fields } = key;
  return { ...fields, user: { id: user.id, name: user.name, role: user.role } };
}
