import { describe, expect, test } from 'vitest';
import { LoginAttempts } from '../../../src/controlplane/login/login-attempts.ts';
import { HandClock } from '../../acp/hand-clock.ts';

/** How many of `count` attempts were let through. */
function letThrough(attempts: LoginAttempts, count: number, of: { account: string | null; address: string }): number {
  let through = 0;
  for (let each = 0; each < count; each++) {
    try {
      attempts.begin(of);
      through += 1;
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'RATE_LIMITED' });
    }
  }
  return through;
}

describe('attempts to sign in', () => {
  test('are ten for an account from wherever, and come back after a quarter of an hour', () => {
    const clock = new HandClock();
    const attempts = new LoginAttempts(clock);
    expect(letThrough(attempts, 8, { account: 'ida@example.com', address: '192.0.2.1' })).toBe(8);
    expect(letThrough(attempts, 8, { account: 'ida@example.com', address: '192.0.2.2' })).toBe(2);
    expect(letThrough(attempts, 1, { account: 'eva@example.com', address: '192.0.2.1' })).toBe(1);
    clock.advance(15 * 60_000);
    expect(letThrough(attempts, 20, { account: 'ida@example.com', address: '192.0.2.1' })).toBe(10);
  });

  test.each([
    ['one address', '192.0.2.1', '192.0.2.1', 50],
    ['two addresses', '192.0.2.1', '192.0.2.2', 100],
    ['one network of IPv6', '2001:db8::1', '2001:db8:0:0:ffff::2', 50],
    ['two networks of IPv6', '2001:db8:0:1::1', '2001:db8:0:2::1', 100],
    ['an address of IPv4 in IPv6, and another', '::ffff:192.0.2.1', '::ffff:192.0.2.2', 100],
  ])('are fifty for %s', (_, one, other, most) => {
    const attempts = new LoginAttempts(new HandClock());
    let through = 0;
    for (const address of [one, other]) {
      for (let each = 0; each < 10; each++)
        through += letThrough(attempts, 10, { account: `${address} ${each}`, address });
    }
    expect(through).toBe(most);
  });

  test('that succeed do not count, however often it is said', () => {
    const attempts = new LoginAttempts(new HandClock());
    const ida = { account: 'ida@example.com', address: '192.0.2.1' };
    for (let each = 0; each < 100; each++) {
      const attempt = attempts.begin(ida);
      attempt.succeeded();
      attempt.succeeded();
    }
    expect(letThrough(attempts, 20, ida)).toBe(10);
  });
});
