import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import type { Versioned } from '../../src/catalog/port.ts';
import { parseObject } from '../../src/define/index.ts';
import type { RollupDefinition, TableDefinition } from '../../src/define/model.ts';
import { Forms, formKey, formOf, readAgain } from '../../src/stats/forms.ts';
import { parseQuestion, type Question } from '../../src/stats/parse.ts';
import type { StatsRequest } from '../../src/stats/port.ts';
import { stream } from './fixture.ts';

const NOW = Date.parse('2024-06-01T00:00:00Z');

/** Undefined: it has mistakes. */
function parsed(request: StatsRequest): Question | undefined {
  try {
    return parseQuestion(request, stream, NOW);
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

const GOOD: Readonly<Record<string, readonly string[]>> = {
  'city:eq:': ['', 'Oslo', 'a:b', '😀'],
  'city:like:': ['%', 'O_lo'],
  'city:in:': ['a,b', 'a', ''],
  'kind:eq:': ['a', 'b'],
  'kind:nin:': ['a,b', 'c'],
  'size:gt:': ['3', ' -3 '],
  ' size : eq :': ['0', '+7'],
  'big:eq:': ['0', '18446744073709551615'],
  'price:lte:': ['1.5', '-0.0001'],
  'ok:eq:': ['true', 'false'],
  'addr:eq:': ['::1', '10.0.0.1'],
  'seen:gte:': ['-1h', 'now', '2024-05-01', '2024-05-01T00:00:00 02:00'],
  'score:lt:': ['1e3', '.5'],
};
const BAD = ['z', 'a,z', '18446744073709551616', '12.34567', '99:99'];
const heads = Object.keys(GOOD);
const early = [
  '-1h',
  '-3d',
  '-1mo',
  '2024-05-01',
  '2024-05-30T12:30:00Z',
  String(NOW - 90_000),
  ` ${NOW - 7} `,
];
const from = fc.constantFrom(undefined, '', ...early, ...early, 'now', 'soon');
const to = fc.constantFrom(undefined, undefined, ' ', 'now', '-1m', String(NOW + 5), '2024-05-01', 'soon');
const lists = fc.record({
  fn: fc.constantFrom(
    undefined,
    ['count'],
    ['count', 'sum(size)'],
    ['top(city,3)', 'p99(score)', 'rate'],
    ['avg(price)'],
  ),
  every: fc.constantFrom(undefined, '', '1m', '1h', '1d', '1mo'),
  tz: fc.constantFrom(undefined, 'Europe/Berlin', 'Asia/Kolkata'),
  by: fc.constantFrom(undefined, 'city', 'kind, ok'),
  order: fc.constantFrom(undefined, '-count'),
  limit: fc.constantFrom(undefined, '5', ' 7 '),
  asof: fc.constantFrom(undefined, 'now'),
});
const conditions = fc.array(fc.constantFrom(...heads), { maxLength: 3 });
const valued = (texts: readonly string[]): fc.Arbitrary<string[]> =>
  fc.tuple(
    ...texts.map((head) => {
      const good = GOOD[head]!;
      const value = fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...good) },
        { weight: 1, arbitrary: fc.constantFrom(...BAD) },
      );
      return value.map((one) => `${head}${one}`);
    }),
  );

/** Two questions of one form. */
const pair = fc
  .record({
    lists,
    where: fc.option(conditions, { nil: undefined }),
    filter: fc.option(conditions, { nil: undefined }),
  })
  .chain(({ lists: parts, where, filter }) => {
    const one = fc
      .record({
        from,
        to,
        max_age: fc.constantFrom(undefined, undefined, '0', '2.5', ' 3 ', 'soon'),
        where: where ? valued(where) : fc.constant(undefined),
        rowFilter: filter ? valued(filter) : fc.constant(undefined),
      })
      .map((rest) => ({ ...parts, ...rest }) as StatsRequest);
    return fc.tuple(one, one);
  });

const form = (request: StatsRequest) => formOf(stream, parseQuestion(request, stream, NOW), []);

describe('a form of questions', () => {
  it('reads another question of it as if it were parsed, and refuses where that would', () => {
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(pair, ([first, second]) => {
        expect(formKey('visits', first)).toBe(formKey('visits', second));
        if (!parsed(first)) return;
        const expected = parsed(second);
        expect(readAgain(form(first), second, NOW)).toEqual(expected);
        if (expected) read += 1;
        else refused += 1;
      }),
      { numRuns: 2_000, seed: 1 },
    );
    expect(read).toBeGreaterThan(200);
    expect(refused).toBeGreaterThan(200);
  });

  it('is another one when anything but times and values differs', () => {
    const requests: StatsRequest[] = [
      {},
      { fn: ['count'] },
      { fn: ['count,rate'] },
      { fn: ['count', 'rate'] },
      { every: '1m' },
      { tz: '1m' },
      { by: 'city' },
      { order: 'city' },
      { limit: '5' },
      { asof: 'event' },
      { where: [] },
      { where: ['city:eq:a'] },
      { where: ['city:in:a'] },
      { where: ['city:eq:a', 'city:eq:a'] },
      { where: ['city'] },
      { rowFilter: ['city:eq:a'] },
      { where: ['city:eq:a'], rowFilter: [] },
    ];
    expect(new Set(requests.map((request) => formKey('visits', request))).size).toBe(requests.length);
    expect(formKey('others', {})).not.toBe(formKey('visits', {}));
  });

  it('stands as long as the definitions that it was made of', () => {
    const forms = new Forms();
    const [rollups, changed]: readonly Versioned<RollupDefinition>[][] = [[], []];
    const kept = form({ by: 'city' });
    forms.keep(rollups!, 'key', kept);
    expect(forms.find(rollups!, stream, 'key')).toBe(kept);
    expect(forms.find(rollups!, stream, 'other')).toBeUndefined();
    expect(forms.find(changed!, stream, 'key')).toBeUndefined();
    expect(forms.find(rollups!, { ...stream }, 'key')).toBeUndefined();
  });

  it('is not kept when a table is in it, which changes without the stream', () => {
    const table = parseObject(
      'table',
      'cities',
      { fields: { city: 'string', country: 'string' }, key: 'city' },
      { stream: () => undefined, rollup: () => undefined, object: () => undefined },
    ) as TableDefinition;
    const forms = new Forms();
    const rollups: readonly Versioned<RollupDefinition>[] = [];
    for (const request of [{ by: 'cities.country' }, { where: ['cities.country:eq:no'] }]) {
      const question = parseQuestion(request, stream, NOW, () => table);
      forms.keep(rollups, 'key', formOf(stream, question, rollups));
      expect(forms.find(rollups, stream, 'key')).toBeUndefined();
    }
  });

  it('gives way when there are too many', () => {
    const forms = new Forms();
    const rollups: readonly Versioned<RollupDefinition>[] = [];
    const kept = form({});
    for (let i = 0; i < 1_000; i += 1) forms.keep(rollups, `${i}`, kept);
    const standing = Array.from({ length: 1_000 }, (_, i) => forms.find(rollups, stream, `${i}`)).filter(
      Boolean,
    );
    expect(standing.length).toBeGreaterThan(0);
    expect(standing.length).toBeLessThanOrEqual(200);
    expect(forms.find(rollups, stream, '999')).toBe(kept);
  });
});
