import { describe, expect, it } from 'vitest';
import { dependsOnOrder, withTotalOrder } from '../../src/questions/one-order.ts';

describe('rows in one order', () => {
  it.each([
    ['SELECT a, b FROM x', 'SELECT a, b FROM x ORDER BY 1, 2'],
    ['SELECT a, b FROM x ORDER BY b DESC', 'SELECT a, b FROM x ORDER BY b DESC, 1, 2'],
    ['SELECT a, b FROM x ORDER BY b ASC LIMIT 3, 4', 'SELECT a, b FROM x ORDER BY b ASC, 1, 2 LIMIT 3, 4'],
    ['SELECT a, b FROM x LIMIT 1 BY a LIMIT 2', 'SELECT a, b FROM x ORDER BY 1, 2 LIMIT 1 BY a LIMIT 2'],
    [
      "SELECT ' LIMIT ' AS a, (SELECT 1 FROM y ORDER BY z LIMIT 1) AS b FROM x",
      "SELECT ' LIMIT ' AS a, (SELECT 1 FROM y ORDER BY z LIMIT 1) AS b FROM x ORDER BY 1, 2",
    ],
    ['SELECT 1, 2 UNION ALL SELECT 3, 4', 'SELECT * FROM (SELECT 1, 2 UNION ALL SELECT 3, 4) ORDER BY 1, 2'],
    ['SELECT a, b FROM x ORDER BY a WITH FILL', 'SELECT a, b FROM x ORDER BY a WITH FILL'],
    ['SELECT a, b FROM x ORDER BY ALL DESC', 'SELECT a, b FROM x ORDER BY ALL DESC'],
  ])('%s', (canonical, ordered) => {
    expect(withTotalOrder(canonical, 2)).toBe(ordered);
  });

  it('is needed below the answer when a number, or a cut, depends on it', () => {
    const line = (name: string, type: string, kind = 'aggregate') =>
      `  FUNCTION id: 4, function_name: ${name}, function_type: ${kind}, result_type: ${type}`;
    const average = (type: string) =>
      `${line('avg', 'Float64')}\n    ARGUMENTS\n      LIST id: 5, nodes: 1\n        COLUMN id: 6, column_name: x, result_type: ${type}`;
    const depends = (tree: string, canonical = 'SELECT 1') => dependsOnOrder({ canonical, tree });
    for (const tree of [
      ...[line('count', 'UInt64'), line('sumIf', 'Decimal(38, 2)'), line('max', 'Int64'), average('UInt64')],
      ...[line('uniqExact', 'UInt64'), line('divide', 'Float64', 'ordinary')],
    ])
      expect([tree, depends(tree)]).toEqual([tree, false]);
    for (const tree of [
      ...[
        line('sum', 'Float64'),
        line('any', 'String'),
        line('groupArray', 'Array(String)'),
        average('Float64'),
      ],
      ...[
        line('row_number', 'UInt64', 'window'),
        line('argMax', 'String'),
        line('sumOrNull', 'Nullable(Float64)'),
      ],
      'JOIN id: 3, strictness: ANY, kind: LEFT',
    ])
      expect([tree, depends(tree)]).toEqual([tree, true]);
    expect(depends('', 'SELECT * FROM (SELECT a FROM x LIMIT 3)')).toBe(true);
    expect(depends('', 'SELECT * FROM x WHERE a > (SELECT any(a) FROM x)')).toBe(true);
    expect(
      depends('', 'WITH o AS (SELECT a FROM x) SELECT * FROM (SELECT a FROM o) WHERE a IN (SELECT b FROM y)'),
    ).toBe(false);
    expect(depends('', 'SELECT a FROM x ORDER BY a LIMIT 3 WITH TIES')).toBe(true);
    expect(depends('', 'SELECT a FROM x ORDER BY a LIMIT 3')).toBe(false);
  });
});
