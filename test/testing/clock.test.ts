import { describe, expect, it } from 'vitest';
import { Activity } from '../../src/testing/activity.ts';
import { TestClock } from '../../src/testing/clock.ts';

const MINUTE = 60_000;

describe('the clock of a test', () => {
  it('wakes sleepers in the order in which they are due, each at its time', async () => {
    const clock = new TestClock(1_000, new Activity());
    const woken: [string, number][] = [];
    const sleep = async (name: string, ms: number) => {
      await clock.sleep(ms);
      woken.push([name, clock.now()]);
    };
    void Promise.all([sleep('c', 300), sleep('a', 100), sleep('b', 100)]);
    expect(clock.nextWithin(50, 1)).toBeUndefined();
    expect(clock.nextWithin(1_000, 1)).toBe(100);
    clock.move(100);
    await new Promise((resolve) => setImmediate(resolve));
    clock.move(200);
    await new Promise((resolve) => setImmediate(resolve));
    expect(woken).toEqual([
      ['a', 1_100],
      ['b', 1_100],
      ['c', 1_300],
    ]);
  });

  it('lets those who look about wait for the grain, and those who wait for a moment not', () => {
    const clock = new TestClock(0, new Activity());
    void clock.sleep(1_000);
    void clock.sleep(25 * MINUTE);
    expect(clock.nextWithin(60 * MINUTE, 10 * MINUTE)).toBe(10 * MINUTE);
    clock.move(10 * MINUTE);
    expect(clock.nextWithin(60 * MINUTE, 10 * MINUTE)).toBe(15 * MINUTE);
  });

  it('forgets who is told to stop sleeping, keeps house only when it is told, and passes pauses at once', async () => {
    const clock = new TestClock(0, new Activity());
    const stop = new AbortController();
    const stopped = clock.sleep(10, stop.signal);
    stop.abort();
    await stopped;
    expect(clock.nextWithin(1_000, 1)).toBeUndefined();
    let kept = 0;
    void clock.housekeeping.sleep(10).then(() => {
      kept += 1;
    });
    clock.move(1_000);
    await clock.pause(500);
    expect([kept, clock.now()]).toEqual([0, 1_000]);
    clock.wakeHousekeeping();
    await clock.pause(500);
    expect(kept).toBe(1);
  });
});

describe('what is under way', () => {
  it('is over when the last has ended and nothing follows from it', async () => {
    const activity = new Activity();
    const done: string[] = [];
    const work = (name: string, then?: () => void) =>
      void activity.around(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        done.push(name);
        // What follows begins a few turns later.
        if (then) setImmediate(() => setImmediate(then));
      });
    work('a', () => work('b', () => work('c')));
    await activity.idle();
    expect(done).toEqual(['a', 'b', 'c']);
  });

  it('is over at once when there is nothing, and after a failure', async () => {
    const activity = new Activity();
    await activity.idle();
    const failing = activity.around(() => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    await activity.idle();
  });
});
