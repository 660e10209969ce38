import { describe, expect, it } from 'vitest';
import { relationsNamed } from '../../src/define/model.ts';

describe('the names that a question in SQL reads from', () => {
  it.each([
    ['SELECT a, b FROM x', ['x']],
    ['select 1 from `x y` as q join "z" using (a, b)', ['x y', 'z']],
    [
      'SELECT f(a, b) FROM x, y AS q, (SELECT c, d FROM z) WHERE e IN (SELECT g FROM u)',
      ['x', 'y', 'z', 'u'],
    ],
    ['FROM x SELECT a, b', ['x']],
    ['SELECT 1 FROM x GLOBAL ANY LEFT JOIN y ON x.a = y.a AND x.b > f(y.b, 2) GROUP BY a, b', ['x', 'y']],
    ['WITH o AS (SELECT * FROM x) SELECT * FROM o UNION ALL SELECT * FROM y', ['x', 'o', 'y']],
    ["SELECT 'from a' -- FROM b\n FROM x /* join c */ WHERE s = $$ FROM d '$$ AND t = 'it''s FROM e'", ['x']],
    ['SELECT (SELECT max(a) FROM x) + (SELECT 1 FROM y)', ['x', 'y']],
    ['SELECT 1', []],
    ['SELECT count() OVER (PARTITION BY a ORDER BY b) FROM x LIMIT 1 BY a, b', ['x']],
  ])('%s', (sql, names) => {
    expect(relationsNamed(sql)).toEqual(names);
  });
});
