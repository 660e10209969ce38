import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseQuery } from '../../src/serve/query.ts';
import { statsQuery } from '../../src/serve/schemas.ts';
import { readStatsQuery } from '../../src/serve/stats-url.ts';

const name = fc.constantFrom(
  ...Object.keys(statsQuery.shape),
  'fn',
  'where',
  'f%6E',
  'colour',
  '',
  '__proto__',
);
const piece = fc.constantFrom(
  'count',
  'a:eq:1',
  '+',
  '%2B',
  '%20',
  '%C3%A4',
  '%zz',
  '%',
  '=',
  'ä',
  '%00',
  '-1h',
  '"',
);
const value = fc.array(piece, { maxLength: 3 }).map((parts) => parts.join(''));
const pair = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(name, value).map(([left, right]) => `${left}=${right}`) },
  { weight: 1, arbitrary: name },
  { weight: 1, arbitrary: fc.constant('') },
);

it('the query of a question is read as the framework reads it, and left to it when it would refuse it', () => {
  let [read, left] = [0, 0];
  const same = (text: string) => {
    const isMalformed = /%(?![0-9a-f]{2})/i.test(text);
    const data = isMalformed ? undefined : statsQuery.safeParse(parseQuery(text)).data;
    expect(readStatsQuery(text)).toEqual(data);
    if (data) read += 1;
    else left += 1;
  };
  fc.assert(
    fc.property(
      fc.array(pair, { maxLength: 6 }).map((pairs) => pairs.join('&')),
      same,
    ),
    {
      numRuns: 3_000,
      seed: 1,
    },
  );
  for (const many of [31, 32, 33]) same(Array.from({ length: many }, () => 'where=a:eq:1').join('&'));
  expect(read).toBeGreaterThan(300);
  expect(left).toBeGreaterThan(300);
});
