import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import { parseQuestion } from '../../src/stats/parse.ts';
import type { StatsRequest } from '../../src/stats/port.ts';
import { stream } from './fixture.ts';

const NOW = Date.parse('2024-06-01T00:00:00Z');
const parse = (request: StatsRequest) => parseQuestion(request, stream, NOW);

function mistakes(request: StatsRequest): [string, string][] {
  try {
    parse(request);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'bad-question') {
      return error.issues.map(({ path, message }) => [path, message]);
    }
    throw error;
  }
  return [];
}

describe('a question', () => {
  it('without anything is the count of everything until now', () => {
    expect(parse({})).toMatchObject({
      functions: [{ name: 'count' }],
      fromMs: undefined,
      toMs: NOW,
      every: undefined,
      by: [],
      where: [],
      limit: 1_000,
    });
  });

  it('may name several functions in one parameter', () => {
    const { functions } = parse({ fn: ['count, top(city, 5)', 'p99.9(score)', 'count'] });
    expect(functions).toMatchObject([
      { name: 'count' },
      { name: 'top(city,5)', k: 5 },
      { name: 'p99.9(score)', level: 0.999 },
    ]);
  });

  it('reports every mistake at once, each with its parameter', () => {
    const found = mistakes({
      fn: [
        'sum(nope)',
        'sum(city)',
        'median(score)',
        'p0(score)',
        'p100(score)',
        'top(city,5000)',
        'avg()',
        'min(tags)',
      ],
      from: 'tomorrow',
      to: '9999-01-01',
      every: '1y',
      tz: 'Mars/Base',
      by: 'nope,score,table.column',
      where: [
        'nope',
        'nope:eq:1',
        'city:is:x',
        'small:eq:1.5',
        'small:gt:99999999999',
        'kind:eq:z',
        'ok:gt:true',
        'size:like:1%',
      ],
      order: 'nope',
      limit: '0',
      max_age: 'old',
    });
    expect(found.map(([path]) => path)).toEqual([
      'tz',
      ...Array<string>(8).fill('fn'),
      ...Array<string>(3).fill('by'),
      ...Array<string>(8).fill('where'),
      'every',
      'to',
      'from',
      'order',
      'limit',
      'max_age',
    ]);
    expect(found.every(([, message]) => message.length > 20)).toBe(true);
  });

  it('must have a range that is not empty and not of too many buckets', () => {
    expect(mistakes({ from: '2024-02-01', to: '2024-02-01' })).toEqual([
      ['from', expect.stringContaining('before')],
    ]);
    expect(mistakes({ from: '2024-01-01', to: '2024-02-01', every: '1s' })).toEqual([
      ['every', expect.stringContaining('11000 buckets')],
    ]);
  });

  it('keeps the colons and every digit of a value', () => {
    const { where } = parse({
      where: [
        'city:eq:a:b',
        'big:in:18446744073709551615, 0',
        'seen:lt:2024-01-01T00:00:00Z',
        'price:eq:-0012.5000',
        'addr:eq:10.0.0.1',
      ],
    });
    expect(where.map(({ values }) => values)).toEqual([
      ['a:b'],
      ['18446744073709551615', '0'],
      ['1704067200000'],
      ['-12.5'],
      ['10.0.0.1'],
    ]);
  });

  it('orders by what the answer has', () => {
    const request = { fn: ['count', 'top(city)'], by: 'city', every: '1d', from: '-3d' };
    expect(parse({ ...request, order: '-count,city,time desc' }).order).toEqual([
      { of: { function: 0 }, descending: true },
      { of: { dimension: 0 }, descending: false },
      { of: 'time', descending: true },
    ]);
    expect(mistakes({ ...request, order: 'top(city)' })).toEqual([
      ['order', expect.stringContaining('no order')],
    ]);
    expect(mistakes({ order: 'time' })).toEqual([['order', expect.stringContaining('use one of count')]]);
  });
});
