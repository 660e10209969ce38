import { describe, expect, it } from 'vitest';
import { Histogram } from '../../bench/histogram.ts';
import { Random, Zipf } from '../../bench/random.ts';

describe('latency histogram', () => {
  it('answers any quantile within 3.2 % above the exact one', () => {
    const random = new Random(5);
    const histogram = new Histogram();
    const values = Array.from({ length: 20_000 }, () => 10 ** (random.next() * 6 - 2));
    for (const value of values) histogram.record(value);
    values.sort((a, b) => a - b);
    for (const share of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = values[Math.ceil(share * values.length) - 1]!;
      expect(histogram.quantile(share) / exact).toBeGreaterThan(0.94);
      expect(histogram.quantile(share) / exact).toBeLessThan(1.04);
    }
    expect(histogram.maxMs).toBe(values.at(-1));
    expect(histogram.count).toBe(20_000);
  });

  it('says 0 when nothing was recorded', () => {
    expect(new Histogram().quantile(0.99)).toBe(0);
  });
});

describe('zipf keys', () => {
  it('come up in proportion to one over their rank', () => {
    const zipf = new Zipf(1_000, new Random(9));
    const counts = new Map<number, number>();
    for (let i = 0; i < 50_000; i += 1) {
      const key = zipf.next();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.get(0)! / counts.get(9)!).toBeGreaterThan(7);
    expect(counts.get(0)! / counts.get(9)!).toBeLessThan(14);
    expect(Math.max(...counts.keys())).toBeLessThan(1_000);
  });
});
