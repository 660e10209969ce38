import { expect, it } from 'vitest';
import type { Figure } from '../../bench/figure.ts';
import { run } from '../../bench/stats.bench.ts';

it('the benchmark of questions runs, and each question comes from where it should', async () => {
  const figures: Figure[] = [];
  await run({ size: 'small', seconds: 0.1 }, (figure) => figures.push(figure));
  expect(figures).toHaveLength(7);
  expect(figures.every((figure) => Number(figure.queries) > 0)).toBe(true);
});
