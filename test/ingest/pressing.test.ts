import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { FairQueue, type Leave } from '../../src/base/fair-queue.ts';
import { Pace } from '../../src/ingest/pace.ts';
import { Pressing } from '../../src/ingest/pressing.ts';

interface Sender {
  readonly name: string;
  readonly everyMs: number;
  readonly bytes: number;
  readonly tookMs: number;
}

/** Who yielded with his last batch, when each has sent for five seconds. */
async function yielding(senders: readonly Sender[], weightOf?: (tenant: string) => number) {
  const clock = new ManualClock();
  const places = new FairQueue({ places: 4, clock, waitingMax: 10 });
  const pressing = new Pressing({ clock, places, weightOf });
  const held = new Map<string, { readonly leave: Leave; readonly untilMs: number }>();
  const yields = new Set<string>();
  for (let ms = 0; ms < 5_000; ms += 10) {
    for (const { name, everyMs, bytes, tookMs } of senders) {
      if ((held.get(name)?.untilMs ?? Number.POSITIVE_INFINITY) <= ms) {
        held.get(name)!.leave();
        held.delete(name);
      }
      if (ms % everyMs !== 0 || held.has(name)) continue;
      held.set(name, { leave: await places.enter(name), untilMs: ms + tookMs });
      if (pressing.cut(name, bytes)) yields.add(name);
      else yields.delete(name);
    }
    clock.advance(10);
  }
  return [...yields];
}

const steady: Sender = { name: 'steady', everyMs: 200, bytes: 200_000, tookMs: 80 };

describe('batches that yield', () => {
  it('are those of who sends ten times as much, though one batch of his takes little longer', async () => {
    expect(await yielding([steady, { name: 'flood', everyMs: 400, bytes: 4_000_000, tookMs: 160 }])).toEqual([
      'flood',
    ]);
  });

  it('are nobody’s when all send alike, when one is alone, and when the greater one pays for it with his weight', async () => {
    expect(await yielding([steady, { ...steady, name: 'other' }])).toEqual([]);
    expect(await yielding([{ ...steady, bytes: 4_000_000 }])).toEqual([]);
    const large: Sender = { name: 'large', everyMs: 400, bytes: 4_000_000, tookMs: 160 };
    expect(await yielding([steady, large], (tenant) => (tenant === 'large' ? 10 : 1))).toEqual([]);
  });

  it('are not those of who sends more bytes and needs less of the machine than another one', async () => {
    const dear: Sender = { name: 'dear', everyMs: 200, bytes: 100_000, tookMs: 190 };
    expect(await yielding([dear, { ...steady, tookMs: 20 }])).toEqual([]);
  });
});

describe('the pace of a stream', () => {
  /** How long it gathers right after a cut. */
  const gathered = async (tookMs: readonly number[]): Promise<number> => {
    const clock = new ManualClock();
    const pace = new Pace(clock);
    for (const ms of tookMs) {
      const began = clock.monotonicMs();
      clock.advance(ms);
      pace.noteApplied(began, 1_000);
      pace.noteCut(10);
    }
    let waited: number | undefined;
    const began = clock.monotonicMs();
    void pace.gather(new AbortController().signal).then(() => {
      waited = clock.monotonicMs() - began;
    });
    for (let ms = 0; ms <= 1_000 && waited === undefined; ms += 10) {
      clock.advance(10);
      await Promise.resolve();
      await Promise.resolve();
    }
    return waited!;
  };

  it('does not become slower because others make its batches take longer, as long as one in a while does not', async () => {
    expect(await gathered([80, 80, 80])).toBe(160);
    expect(await gathered([80, 200, 200, 200, 80, 200, 200, 200])).toBe(160);
  });

  it('becomes slower when all of them take longer', async () => {
    expect(await gathered([80, ...Array.from({ length: 16 }, () => 200)])).toBe(400);
  });
});
