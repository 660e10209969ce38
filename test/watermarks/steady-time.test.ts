import { expect, it } from 'vitest';
import { SteadyTime } from '../../src/watermarks/steady-time.ts';

const at = { wall: 1_000_000, monotonic: 0 };
const clock = { now: () => at.wall, monotonicMs: () => at.monotonic, sleep: () => Promise.resolve() };
const passes = (ms: number) => {
  at.wall += ms;
  at.monotonic += ms;
};

it('a clock that jumps ahead is believed when it still stands there a minute later', () => {
  const time = new SteadyTime(clock);
  passes(5_000);
  expect(time.now()).toBe(1_005_000);
  at.wall += 3_600_000;
  passes(1_000);
  expect(time.now()).toBe(1_006_000);
  passes(59_000);
  expect(time.now()).toBe(1_065_000);
  passes(1_000);
  expect(time.now()).toBe(1_066_000 + 3_600_000);
});

it('a clock that jumps ahead and is put right has done nothing, one that is set back is believed', () => {
  const time = new SteadyTime(clock);
  const start = at.wall;
  at.wall += 3_600_000;
  expect(time.now()).toBe(start);
  at.wall -= 3_600_000;
  passes(30_000);
  expect(time.now()).toBe(start + 30_000);
  at.wall -= 7_200_000;
  expect(time.now()).toBe(start + 30_000 - 7_200_000);
});
