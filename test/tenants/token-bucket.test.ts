import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../src/tenants/token-bucket.ts';

describe('a bucket of tokens', () => {
  it('holds the average whatever is taken, however large the pieces: never more than rate, burst and one piece', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.array(fc.record({ afterMs: fc.nat(500), amount: fc.integer({ min: 1, max: 5_000 }) }), {
          maxLength: 200,
        }),
        (perSecond, requests) => {
          const bucket = new TokenBucket(perSecond, 4 * perSecond, 0);
          let [nowMs, taken, largest] = [0, 0, 0];
          for (const { afterMs, amount } of requests) {
            nowMs += afterMs;
            if (bucket.level(nowMs) <= 0) continue;
            bucket.take(amount, nowMs);
            taken += amount;
            largest = Math.max(largest, amount);
            expect(taken).toBeLessThanOrEqual((nowMs / 1_000) * perSecond + 4 * perSecond + largest + 1e-6);
          }
        },
      ),
    );
  });

  it('says how long to wait, and then there is something', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 0, max: 100_000 }),
        (perSecond, amount) => {
          const bucket = new TokenBucket(perSecond, 4 * perSecond, 0);
          bucket.take(amount, 0);
          const waitMs = bucket.waitMs(0);
          expect(waitMs > 0).toBe(bucket.level(0) <= 0);
          expect(bucket.level(Math.ceil(waitMs))).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('keeps what is owed when the rate is changed, and lets it be paid at the new one', () => {
    const bucket = new TokenBucket(10, 40, 0);
    bucket.take(140, 0);
    expect(bucket.waitMs(0)).toBeCloseTo(10_100);
    bucket.change(100, 400, 0);
    expect(bucket.waitMs(0)).toBeCloseTo(1_010);
    const unused = new TokenBucket(10, 40, 0);
    unused.change(100, 400, 0);
    expect(unused.level(0)).toBe(400);
  });

  it('stands still while a clock goes back', () => {
    const bucket = new TokenBucket(10, 40, 1_000);
    bucket.take(40, 1_000);
    expect(bucket.level(500)).toBe(0);
    expect(bucket.level(1_100)).toBeCloseTo(1);
  });
});
