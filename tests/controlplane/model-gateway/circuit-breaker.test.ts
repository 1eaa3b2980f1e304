import { expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/controlplane/model-gateway/circuit-breaker.ts';
import { HandClock } from '../../acp/hand-clock.ts';

/** Its wall clock goes where the test puts it; its steady one does not follow. */
class JumpingClock extends HandClock {
  jump = 0;

  override now(): number {
    return super.now() + this.jump;
  }
}

function fail(breaker: CircuitBreaker, times: number): void {
  for (let i = 0; i < times; i++) {
    expect(breaker.enter()).toBeNull();
    breaker.leave('failed');
  }
}

test('ten failures in a row open it for ten seconds, whatever the wall clock does', () => {
  const clock = new JumpingClock();
  const breaker = new CircuitBreaker(clock);
  expect(breaker.mode).toBe('closed');
  fail(breaker, 10);
  expect(breaker.mode).toBe('open');
  expect(breaker.enter()).toBe(10_000);
  clock.jump = 365 * 24 * 3_600_000;
  expect(breaker.enter()).toBe(10_000);
  clock.jump = -365 * 24 * 3_600_000;
  clock.advance(9_999);
  expect(breaker.enter()).toBe(1);
  clock.advance(1);
  expect(breaker.enter()).toBeNull();
  expect(breaker.mode).toBe('half_open');
});

test('one success in between is enough to keep it closed', () => {
  const breaker = new CircuitBreaker(new HandClock());
  fail(breaker, 9);
  expect(breaker.enter()).toBeNull();
  breaker.leave('worked');
  fail(breaker, 9);
  expect(breaker.enter()).toBeNull();
});

test('then one call decides, and the others wait for it', () => {
  const clock = new HandClock();
  const breaker = new CircuitBreaker(clock);
  fail(breaker, 10);
  clock.advance(10_000);
  expect(breaker.enter()).toBeNull();
  expect(breaker.enter()).not.toBeNull();
  breaker.leave('failed');
  expect(breaker.enter()).toBe(10_000);
  clock.advance(10_000);
  expect(breaker.enter()).toBeNull();
  breaker.leave('worked');
  expect([breaker.enter(), breaker.enter()]).toEqual([null, null]);
});

test('a call that decides and tells nothing leaves the decision to the next one', () => {
  const clock = new HandClock();
  const breaker = new CircuitBreaker(clock);
  fail(breaker, 10);
  clock.advance(10_000);
  expect(breaker.enter()).toBeNull();
  breaker.leave('unknown');
  expect(breaker.enter()).toBeNull();
});

test('a call that is to decide and hangs keeps the others off for ten seconds, not for as long as it hangs', () => {
  const clock = new HandClock();
  const breaker = new CircuitBreaker(clock);
  fail(breaker, 10);
  clock.advance(10_000);
  expect(breaker.enter()).toBeNull(); // hangs
  expect(breaker.enter()).toBe(10_000);
  clock.advance(10_000);
  expect(breaker.enter()).toBeNull();
  expect(breaker.enter()).toBe(10_000);
  breaker.leave('worked');
  expect(breaker.enter()).toBeNull();
});

test('that a service is taken for down, and that it answers again, is told once each', () => {
  const clock = new HandClock();
  const turns: boolean[] = [];
  const breaker = new CircuitBreaker(clock, (isDown) => turns.push(isDown));
  fail(breaker, 9);
  expect(turns).toEqual([]);
  fail(breaker, 1);
  clock.advance(10_000);
  fail(breaker, 1);
  expect(turns).toEqual([true]);
  clock.advance(10_000);
  expect(breaker.enter()).toBeNull();
  breaker.leave('worked');
  breaker.leave('worked');
  expect(turns).toEqual([true, false]);
});
