import type { CaissonClient, User } from '../client/index.ts';
import { userIdSchema } from '../kernel/ids.ts';

/** A name may begin like an id. */
export function isUserId(nameOrId: string): boolean {
  return userIdSchema.safeParse(nameOrId).success;
}

/** By id, or by name. Errors: USER_NOT_FOUND; FORBIDDEN for those who may not see who there is. */
export async function findUser(client: CaissonClient, nameOrId: string): Promise<User> {
  return await client.users.get.query(isUserId(nameOrId) ? { userId: nameOrId } : { name: nameOrId });
}
