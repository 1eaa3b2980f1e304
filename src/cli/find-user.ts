import type { CaissonClient, User } from '../client/index.ts';

/** By id, or by name. Errors: USER_NOT_FOUND; FORBIDDEN for those who may not see who there is. */
export async function findUser(client: CaissonClient, nameOrId: string): Promise<User> {
  return await client.users.get.query(nameOrId.startsWith('usr-') ? { userId: nameOrId } : { name: nameOrId });
}
