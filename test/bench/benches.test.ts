import { describe, expect, it } from 'vitest';
import { BENCHES, loadBench } from '../../bench/benches.ts';
import type { Figure } from '../../bench/figure.ts';

/** The figures of the small size are not worth quoting; that they come, whole and counted, is. */
describe.each(BENCHES)('the benchmark %s', (name) => {
  it('runs in its small size, loses no event, and says what was on', async () => {
    const run = await loadBench(name);
    const figures: Figure[] = [];
    await run({ size: 'small' }, (figure) => figures.push(figure));
    expect(figures.length).toBeGreaterThan(0);
    for (const figure of figures) {
      expect(figure).toMatchObject({ bench: name, case: expect.any(String) });
      const values = Object.values(figure).filter((value) => typeof value === 'number');
      expect(values.length).toBeGreaterThan(0);
      expect(values.every((value) => Number.isFinite(value))).toBe(true);
    }
    expect(new Set(figures.map((figure) => figure.case)).size).toBe(figures.length);
  });
});
