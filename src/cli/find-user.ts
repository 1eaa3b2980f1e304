import type { CaissonClient, User } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';

/** By id, or by name. Errors: USER_NOT_FOUND; FORBIDDEN for those who may not see who there is. */
export async function findUser(client: CaissonClient, nameOrId: string): Promise<User> {
  const { items } = await client.users.list.query();
  const user = items.find(({ id, name }) => id === nameOrId || name === nameOrId);
  if (user !== undefined) return user;
  throw new CaissonError('USER_NOT_FOUND', `There is no user ${nameOrId}.`, {
    hint: 'List them with `caisson users list`.',
  });
}
