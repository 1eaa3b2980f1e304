import { expect, test } from 'vitest';
import { SteadyClock } from '../../src/kernel/steady-clock.ts';
import { SteeredClock } from '../controlplane/egress/policy/steered-clock.ts';

const minute = 60_000;
const day = 1_440 * minute;

function clocks(): { wall: SteeredClock; steady: SteadyClock; pass: (minutes: number) => void } {
  const wall = new SteeredClock();
  const steady = new SteadyClock(wall);
  const pass = (minutes: number): void => {
    for (let each = 0; each < minutes; each++) {
      wall.advance(minute);
      steady.now();
    }
  };
  return { wall, steady, pass };
}

test('a wall clock that is ahead for a moment is not certain, and is followed by what can be taken back', () => {
  const { wall, steady, pass } = clocks();
  pass(10);
  const before = wall.now();
  wall.jump(day);
  pass(9);
  expect([steady.now(), steady.certain()]).toEqual([before + 9 * minute + day, before + 9 * minute]);
  wall.jump(-day);
  expect([steady.now(), steady.certain()]).toEqual([wall.now(), wall.now()]);
});

test('a wall clock that is set back holds nothing up', () => {
  const { wall, steady, pass } = clocks();
  pass(10);
  const before = wall.now();
  wall.jump(-day);
  pass(9);
  expect([steady.now(), steady.certain()]).toEqual([before + 9 * minute, before + 9 * minute]);
});

test.each([day, -day])('a wall clock that stands by a jump of %i ms for ten minutes is believed', (jump) => {
  const { wall, steady, pass } = clocks();
  pass(10);
  wall.jump(jump);
  pass(11);
  expect([steady.now(), steady.certain()]).toEqual([wall.now(), wall.now()]);
});

test('a wall clock that jumps again and again is not believed, whatever it says each time', () => {
  const { wall, steady, pass } = clocks();
  pass(10);
  const before = wall.now();
  for (let each = 0; each < 20; each++) {
    wall.jump(day);
    pass(1);
  }
  expect(steady.certain()).toBe(before + 20 * minute);
});

test('nothing is certain in the first ten minutes, nor while what was said at the start is taken back', () => {
  const { wall, steady, pass } = clocks();
  pass(5);
  expect(steady.certain()).toBeUndefined();
  wall.jump(-day); // it was ahead at the start
  pass(9);
  expect(steady.certain()).toBeUndefined();
  pass(2);
  expect(steady.certain()).toBe(wall.now());
});

test('small steps are followed at once', () => {
  const { wall, steady, pass } = clocks();
  pass(10);
  for (const step of [900, -900, 900, 900]) {
    wall.jump(step);
    expect([steady.now(), steady.certain()]).toEqual([wall.now(), wall.now()]);
  }
});
