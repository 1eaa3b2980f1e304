import { expect, test } from 'vitest';
import { Passwords } from '../../../src/controlplane/login/passwords.ts';

const passwords = new Passwords();

test('a hash is of one password, however its characters are typed, and no two are the same', async () => {
  const [one, two] = [await passwords.hash('Größe und Weite'), await passwords.hash('Größe und Weite')];
  expect(one).not.toBe(two);
  expect(await passwords.verify('Größe und Weite'.normalize('NFD'), one)).toBe(true);
  expect(await passwords.verify('Größe und weite', one)).toBe(false);
});

test('where there is no hash, or a broken one, nothing is right', async () => {
  expect(await passwords.verify('', null)).toBe(false);
  expect(await passwords.verify('anything', 'scrypt$1$1')).toBe(false);
});

test('more than 64 that wait are refused, and the others have their turn', async () => {
  const few = new Passwords();
  const asked = await Promise.allSettled(Array.from({ length: 70 }, () => few.verify('x', 'scrypt$2$1$1$AAAA$AAAA')));
  expect(asked.filter(({ status }) => status === 'rejected')).toHaveLength(6);
  expect(asked.filter((each) => each.status === 'rejected').map(({ reason }) => reason as unknown)).toContainEqual(
    expect.objectContaining({ code: 'RATE_LIMITED' }),
  );
  expect(await few.verify('x', 'scrypt$2$1$1$AAAA$AAAA')).toBe(false);
});
