import { expect } from 'vitest';
import { type UserId, userIdSchema } from '../../../src/kernel/ids.ts';
import type { RunningServer } from '../running-server.ts';
import { Browser } from './browser.ts';

export const password = 'correct horse battery';

interface Invited {
  readonly user: { readonly id: string; readonly name: string; readonly state: string; readonly email: string | null };
  readonly invitation: string;
  readonly url: string | null;
}

export async function invite(server: RunningServer, input: object): Promise<Invited> {
  const { status, data, error } = await server.mutate(server.admin, 'users.invite', input);
  expect([status, error]).toEqual([200, undefined]);
  return data as Invited;
}

/** A browser of somebody who has just accepted an invitation. */
export async function signedIn(
  server: RunningServer,
  person: { readonly name: string; readonly role?: 'admin' | 'member' | 'auditor' } = { name: 'ida' },
): Promise<Browser & { readonly userId: UserId }> {
  const { invitation, user } = await invite(server, { ...person, email: `${person.name}@example.com` });
  const browser = new Browser(server);
  const { location } = await browser.submit('/invitation', { invitation, password, repeated: password });
  expect(location).toBe('/account');
  return Object.assign(browser, { userId: userIdSchema.parse(user.id) });
}
