import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { FairQueue } from '../../src/base/fair-queue.ts';
import { seeded } from '../support/seeded.ts';
import { live, type Piece, quantile, type Story } from './fair-world.ts';

const piece: fc.Arbitrary<Piece> = fc.record(
  {
    owner: fc.constantFrom('a', 'b', 'c', 'd'),
    atMs: fc.nat(300),
    tookMs: fc.integer({ min: 0, max: 40 }),
    patienceMs: fc.nat(80),
  },
  { requiredKeys: ['owner', 'atMs', 'tookMs'] },
);
const pieces = fc.array(piece, { maxLength: 120 });
const places = fc.integer({ min: 1, max: 4 });

/** For twenty seconds. */
const steadily = (owner: string, everyMs: number, tookMs: number): Piece[] =>
  Array.from({ length: 20_000 / everyMs }, (_, n) => ({ owner, atMs: n * everyMs, tookMs }));
/** As the engine has it: who asks for more than his share holds one place. */
const bound = {
  ...{ places: 4, waitingMax: 256, creditMs: 200 },
  heldMax: (_owner: string, _isShared: boolean, isOver: boolean) => (isOver ? 1 : 3),
};

describe('the fair queue', () => {
  it('serves everybody who does not go away, leaves no place empty while somebody waits, and holds no more than it has', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, places, async (all, n) => {
        const { served, gone, refused, idleWhileWaiting } = await live(all, { places: n, waitingMax: 1_000 });
        expect(served.length + gone.length).toBe(all.length);
        expect(refused).toEqual([]);
        expect(idleWhileWaiting).toBe(0);
        for (const one of served) {
          const during = served.filter(
            (other) => other.startedAtMs <= one.startedAtMs && other.endedAtMs > one.startedAtMs,
          );
          expect(during.length).toBeLessThanOrEqual(n);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is first come, first served inside an owner', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, places, async (all, n) => {
        const { served } = await live(all, { places: n, waitingMax: 1_000 });
        for (const owner of ['a', 'b', 'c', 'd']) {
          const starts = served
            .filter((one) => one.owner === owner)
            .toSorted((x, y) => x.startedAs - y.startedAs)
            .map((one) => one.atMs);
          expect(starts).toEqual(starts.toSorted((x, y) => x - y));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('divides a place by weight, within one piece of work of each', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ weight: fc.integer({ min: 1, max: 8 }), tookMs: fc.integer({ min: 1, max: 50 }) }),
          {
            minLength: 2,
            maxLength: 5,
          },
        ),
        async (owners) => {
          const untilMs = 4_000;
          const all = owners.flatMap(({ tookMs }, index) =>
            Array.from({ length: Math.ceil(untilMs / tookMs) }, () => ({
              owner: String(index),
              atMs: 0,
              tookMs,
            })),
          );
          const weightOf = (owner: string) => owners[Number(owner)]!.weight;
          const { served } = await live(all, { places: 1, waitingMax: 10_000, weightOf });
          const shareOf = (owner: number): number =>
            served
              .filter((one) => one.owner === String(owner) && one.endedAtMs <= untilMs)
              .reduce((sum, one) => sum + one.tookMs, 0) / weightOf(String(owner));
          for (let a = 0; a < owners.length; a += 1) {
            for (let b = 0; b < a; b += 1) {
              // One piece each, and the one that was charged by guess before its cost was known.
              const quantum = [a, b].reduce(
                (sum, one) => sum + owners[one]!.tookMs / owners[one]!.weight,
                2 * Math.max(...owners.map((one) => one.tookMs)),
              );
              expect(Math.abs(shareOf(a) - shareOf(b))).toBeLessThanOrEqual(quantum);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('lets nobody starve: who comes to a crowd waits for at most a turn of each of the others', async () => {
    const crowd = Array.from({ length: 20 }, (_, index) =>
      Array.from({ length: 100 }, () => ({ owner: `crowd ${index}`, atMs: 0, tookMs: 10 })),
    ).flat();
    const { served } = await live([...crowd, { owner: 'late', atMs: 5_003, tookMs: 10 }], {
      places: 1,
      waitingMax: 1_000,
    });
    const late = served.find((one) => one.owner === 'late')!;
    expect(late.startedAtMs - late.atMs).toBeLessThanOrEqual(20 * 10);
  });

  it('lets who asked for little have a few pieces ahead, and not more than its credit', async () => {
    const greedy = Array.from({ length: 100 }, () => ({ owner: 'greedy', atMs: 0, tookMs: 10 }));
    const burst = Array.from({ length: 20 }, () => ({ owner: 'calm', atMs: 200, tookMs: 10 }));
    const { served } = await live([...greedy, ...burst], { places: 1, waitingMax: 1_000, creditMs: 50 });
    const calm = served.filter((one) => one.owner === 'calm').map((one) => one.startedAtMs);
    expect(calm.slice(0, 5)).toEqual([200, 210, 220, 230, 240]);
    expect(calm[19]).toBeGreaterThanOrEqual(500);
    expect(calm[19]).toBeLessThanOrEqual(560);
  });

  it('charges by what work took: an owner of long pieces gets as much time as one of short ones', async () => {
    const long = Array.from({ length: 20 }, () => ({ owner: 'long', atMs: 0, tookMs: 200 }));
    const short = Array.from({ length: 400 }, () => ({ owner: 'short', atMs: 0, tookMs: 10 }));
    const { served } = await live([...long, ...short], { places: 2, waitingMax: 1_000 });
    const by2s = (owner: string) =>
      served
        .filter((one) => one.owner === owner && one.endedAtMs <= 2_000)
        .reduce((sum, one) => sum + one.tookMs, 0);
    expect(Math.abs(by2s('long') - by2s('short'))).toBeLessThanOrEqual(600);
  });

  it('refuses an owner who has too many waiting, and nobody else', async () => {
    const flood = Array.from({ length: 10 }, () => ({ owner: 'flood', atMs: 0, tookMs: 5 }));
    const { served, refused } = await live([...flood, { owner: 'calm', atMs: 1, tookMs: 5 }], {
      places: 1,
      waitingMax: 3,
    });
    expect(refused).toHaveLength(6);
    expect(served.map((one) => one.owner)).toContain('calm');
  });

  it('keeps places of an owner within its bound, and gives the others theirs', async () => {
    const flood = Array.from({ length: 10 }, () => ({ owner: 'flood', atMs: 0, tookMs: 100 }));
    const { served } = await live([...flood, { owner: 'calm', atMs: 50, tookMs: 5 }], {
      places: 2,
      waitingMax: 100,
      heldMax: () => 1,
    });
    expect(served.find((one) => one.owner === 'calm')).toMatchObject({ startedAtMs: 50 });
    expect(Math.max(...served.map((one) => one.endedAtMs))).toBe(1_000);
  });

  it('bounds an owner only while others come, and gives it every place when they have gone', async () => {
    const greedy = Array.from({ length: 40 }, () => ({ owner: 'greedy', atMs: 0, tookMs: 100 }));
    const { served } = await live([...greedy, { owner: 'calm', atMs: 50, tookMs: 5 }], {
      places: 4,
      waitingMax: 100,
      heldMax: (_owner, isShared) => (isShared ? 1 : 4),
    });
    const startedAt = (atMs: number) => served.filter((one) => one.startedAtMs === atMs).length;
    expect(startedAt(0)).toBe(4);
    // Until a second after the other one came.
    expect([200, 300, 400, 900, 1_000].map(startedAt)).toEqual([1, 1, 1, 1, 1]);
    expect([1_200, 1_300].map(startedAt)).toEqual([4, 4]);
  });

  describe('beside one who asks for ten times as much', () => {
    // Work that a busy machine makes slow: the calm one needs a place and a quarter.
    const every = (owner: string, everyMs: number): Piece[] => steadily(owner, everyMs, 62);
    const flood = every('flood', 5);
    const p99 = ({ served }: Story, owner: string): number =>
      quantile(
        served.filter((one) => one.owner === owner).map((one) => one.startedAtMs - one.atMs),
        0.99,
      );

    it('does not bind who asks for less: places that he needs are not kept empty', async () => {
      const story = await live([...every('calm', 50), ...flood], bound);
      expect(story.refused.some(({ owner }) => owner === 'calm')).toBe(false);
      expect(p99(story, 'calm')).toBeLessThan(62);
      const floods = story.served.filter(({ owner }) => owner === 'flood');
      const atOnce = floods.map(
        (one) =>
          floods.filter((other) => other.startedAtMs <= one.startedAtMs && other.endedAtMs > one.startedAtMs)
            .length,
      );
      expect(atOnce.slice(100, 300)).toEqual(Array.from({ length: 200 }, () => 1));
    });

    it('binds everybody who does, if they are several, and still not the one who asks for less', async () => {
      const story = await live([...every('calm', 50), ...flood, ...every('torrent', 8)], bound);
      expect(p99(story, 'calm')).toBeLessThan(62);
    });

    it('binds nobody while all ask for alike', async () => {
      const over: boolean[] = [];
      await live([...every('calm', 50), ...every('other', 40)], {
        ...bound,
        heldMax: (_owner, _isShared, isOver) => {
          over.push(isOver);
          return 3;
        },
      });
      // Not before it is known what they ask for.
      expect(over.slice(100, 1_700)).not.toContain(true);
    });
  });

  describe('one who floods', () => {
    /** Of the time between two moments, the part in which something of the owner's is under way. */
    const busy = ({ served }: Story, owner: string, fromMs: number, toMs: number): number =>
      served
        .filter((one) => one.owner === owner)
        .reduce(
          (sum, one) => sum + Math.max(0, Math.min(toMs, one.endedAtMs) - Math.max(fromMs, one.startedAtMs)),
          0,
        ) /
      (toMs - fromMs);
    const options = { ...bound, rests: true };
    const flood = steadily('flood', 5, 60);

    it('leaves half of his time empty beside one who asks for little, and the more of it is his the more that one asks for', async () => {
      for (const [tookMs, part] of [
        [5, 0.5],
        [15, 0.6],
        [40, 1],
      ] as const) {
        const story = await live([...steadily('calm', 50, tookMs), ...flood], options);
        expect(busy(story, 'flood', 4_000, 18_000)).toBeCloseTo(part, 1);
        expect(story.refused.some(({ owner }) => owner === 'calm')).toBe(false);
      }
    });

    it('has all of it when he is alone', async () => {
      expect(busy(await live(flood, options), 'flood', 4_000, 18_000)).toBeCloseTo(3, 1);
    });

    it('is not who asks for his share, though much of his stands in line', async () => {
      const burst = Array.from({ length: 100 }, () => ({ owner: 'modest', atMs: 5_000, tookMs: 60 }));
      const story = await live(
        [...steadily('calm', 50, 15), ...steadily('modest', 100, 60), ...burst],
        options,
      );
      expect(story.refused).toEqual([]);
      const lastOfBurst = story.served.findLast((one) => one.owner === 'modest' && one.atMs === 5_000)!;
      // One place for six seconds of the burst and for what came meanwhile, and no more places than that.
      expect(lastOfBurst.endedAtMs).toBeLessThan(5_000 + 6_000 / (1 - 0.6));
    });

    it('is who asks for much more than those count for who are there without asking', async () => {
      const there = { ...options, elsewhere: () => 250 };
      expect(busy(await live(flood, there), 'flood', 4_000, 18_000)).toBeCloseTo(0.5, 1);
      const modest = await live(steadily('modest', 150, 60), there);
      expect(busy(modest, 'modest', 4_000, 18_000)).toBeCloseTo(0.4, 1);
      expect(Math.max(...modest.served.map((one) => one.startedAtMs - one.atMs))).toBe(0);
    });
  });

  it('forgets who rests when all are idle, and not who has come again before the rest is over', async () => {
    const clock = new ManualClock();
    const queue = new FairQueue({ ...bound, creditMs: 0, clock, rests: true, elsewhere: () => 1 });
    for (let n = 0; n < 12; n += 1) {
      const leave = queue.tryEnter('flood')!;
      clock.advance(100);
      leave();
    }
    const held = Array.from({ length: 3 }, () => queue.tryEnter('other'));
    expect(held).not.toContain(undefined);
    await queue.enter('flood');
    const waits = queue.enter('flood').catch((why: Error) => why.message);
    clock.advance(100);
    await turn();
    queue.refuseAll(new Error('over'));
    expect(await Promise.race([waits, turn('it waits')])).toBe('over');
    expect(queue.waiting).toBe(0);
  });

  it('gives the place of a wait that was given up to the next, and a place only once', async () => {
    const queue = new FairQueue({ places: 1, waitingMax: 10, clock: new ManualClock() });
    const leave = await queue.enter('a');
    const signal = new AbortController();
    const given = queue.enter('a', signal.signal);
    const next = queue.enter('a');
    signal.abort(new Error('away'));
    await expect(given).rejects.toThrow('away');
    expect(queue.tryEnter('b')).toBeUndefined();
    leave();
    leave();
    const leaveNext = await next;
    expect(queue).toMatchObject({ held: 1, waiting: 0 });
    const never = queue.enter('c');
    queue.refuseAll(new Error('over'));
    await expect(never).rejects.toThrow('over');
    leaveNext();
    expect(queue.held).toBe(0);
    queue.tryEnter('b')!();
    await expect(queue.enter('a', AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });
});

describe('one owner at ten times its share', () => {
  /** Pieces of work that come at random moments, `load` of the places' time in all. */
  const arrivals = (
    owner: string,
    load: number,
    n: number,
    meanMs: number,
    random: () => number,
  ): Piece[] => {
    const found: Piece[] = [];
    const everyMs = meanMs / (load * n);
    for (let atMs = 0; atMs < 1_500 * meanMs; ) {
      atMs += -Math.log(1 - random()) * everyMs;
      found.push({ owner, atMs, tookMs: meanMs * (0.5 + random()) });
    }
    return found;
  };
  const OWNERS = ['a', 'b', 'c', 'd', 'e'];
  /** 99th percentile of how long everybody but the one who floods waits for a place. */
  const p99 = async (load: number, times: number, n: number, meanMs: number): Promise<number> => {
    const all = OWNERS.flatMap((owner, index) =>
      arrivals(owner, owner === 'b' ? load * times : load, n, meanMs, seeded(index + 1)),
    );
    const { served } = await live(all, {
      places: n,
      waitingMax: 32,
      creditMs: 8 * meanMs,
      heldMax: () => n - 1,
    });
    const others = served.filter((one) => one.owner !== 'b');
    return quantile(
      others.map((one) => one.startedAtMs - one.atMs),
      0.99,
    );
  };

  it.each([
    ['batches of ingest, the places half used', 0.1, 4, 60],
    ['batches of ingest, the places nearly used up', 0.16, 4, 60],
    ['questions, the places half used', 0.1, 4, 10],
    ['questions, the places nearly used up', 0.16, 4, 10],
    ['scans', 0.16, 2, 500],
  ])('moves the 99th percentile of the others by less than a quarter: %s', async (_what, load, n, meanMs) => {
    const [usual, flooded] = [await p99(load, 1, n, meanMs), await p99(load, 10, n, meanMs)];
    expect(flooded / usual).toBeLessThan(1.25);
  });
});
