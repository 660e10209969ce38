import { describe, expect, it } from 'vitest';
import { parseMeasure, parseRollup, parseStream } from '../../src/define/index.ts';
import { mistakesOf } from './issues.ts';

const stream = parseStream('sales', {
  fields: {
    item: 'string',
    shop: { type: 'enum', values: ['north', 'south'] },
    price: { type: 'decimal', precision: 18, scale: 2 },
    weight: 'float64',
    at: 'timestamp',
    tags: { type: 'array', of: 'string' },
    note: 'json',
    buyer: { type: 'uuid', optional: true },
  },
});
const find = (name: string) => (name === 'sales' ? stream : undefined);
const BASE = { from: 'sales', by: ['item'], every: '1m', measures: { n: 'count()' } };
const parse = (document: object) => parseRollup('r', { ...BASE, ...document }, find);
const mistakes = (document: object) => mistakesOf(() => parse(document));
const ofMeasure = (text: unknown) => mistakes({ measures: { m: text } });

describe('parseRollup', () => {
  it('reads a document', () => {
    expect(parse({ measures: { n: 'count()', buyers: 'unique( buyer )', best: 'top(item, 3)' } })).toEqual({
      kind: 'rollup',
      name: 'r',
      from: 'sales',
      by: ['item'],
      everySeconds: 60,
      measures: [
        { name: 'n', measure: { fn: 'count' } },
        { name: 'buyers', measure: { fn: 'unique', field: 'buyer' } },
        { name: 'best', measure: { fn: 'top', field: 'item', k: 3 } },
      ],
    });
    expect(
      mistakesOf(() => parseRollup('r', { from: 'sales', every: '1d', measures: { n: 'count()' } }, find)),
    ).toEqual([]);
  });

  it('reports every mistake at once, each with its path', () => {
    expect(
      mistakes({
        measure: 1,
        by: ['itm', 'tags', 'item', 'item'],
        every: '2m',
        measures: {
          n: 'cnt()',
          a: 'sum(item)',
          c: 'top(item,5)',
          d: 'top(item,6)',
          item: 'count()',
          e: 'sum(prices)',
          f: 7,
        },
      }),
    ).toMatchInlineSnapshot(`
      [
        "measure: is not known here; did you mean "measures"?",
        "by.0: the stream "sales" has no field "itm"; did you mean "item"?",
        "by.1: "tags" is array; a dimension needs bool, int32, int64, uint64, decimal, string, enum, timestamp, uuid, ip",
        "by.3: names "item" twice",
        "every: must be one of 1s, 10s, 1m, 5m, 10m, 15m, 1h, 1d",
        "measures.n: there is no measure "cnt"; did you mean "count"?",
        "measures.a: "item" is string; sum() needs int32, int64, uint64, float64, decimal",
        "measures.d: "item" already has top(item,5); keep the larger k only",
        "measures.item: is the name of a dimension; choose another",
        "measures.e: the stream "sales" has no field "prices"; did you mean "price"?",
        "measures.f: must be text such as "sum(price)"",
      ]
    `);
  });

  it('reads how far back buckets are kept in memory', () => {
    expect(parse({})).not.toHaveProperty('hotMs');
    expect([parse({ hot: '2h' }).hotMs, parse({ hot: false }).hotMs, parse({ hot: '0s' }).hotMs]).toEqual([
      7_200_000, 0, 0,
    ]);
    for (const hot of ['31d', '2 hours', true, 7]) expect(mistakes({ hot })).toHaveLength(1);
  });

  it('names the stream that is not there, and still checks the rest', () => {
    expect(mistakes({ from: 'shops', every: 'x' })).toEqual([
      'from: there is no stream "shops"; define it first',
      'every: must be one of 1s, 10s, 1m, 5m, 10m, 15m, 1h, 1d',
    ]);
  });

  it('takes as dimension only scalars that compare exactly', () => {
    expect(mistakes({ by: ['shop', 'price', 'at', 'buyer'] })).toEqual([]);
    for (const name of ['weight', 'tags', 'note']) expect(mistakes({ by: [name] })).toHaveLength(1);
  });

  it('lets measures read only the fields that they can measure', () => {
    for (const fn of ['sum', 'avg', 'quantile', 'p95']) {
      expect(ofMeasure(`${fn}(price)`)).toEqual([]);
      expect(ofMeasure(`${fn}(at)`)).toHaveLength(1);
      expect(ofMeasure(`${fn}(item)`)).toHaveLength(1);
    }
    for (const fn of ['min', 'max']) {
      for (const field of ['price', 'weight', 'at', 'item']) expect(ofMeasure(`${fn}(${field})`)).toEqual([]);
      for (const field of ['shop', 'tags', 'note', 'buyer'])
        expect(ofMeasure(`${fn}(${field})`)).toHaveLength(1);
    }
    for (const call of ['unique', 'top']) {
      for (const field of ['shop', 'item', 'buyer', 'weight'])
        expect(ofMeasure(`${call}(${field})`)).toEqual([]);
      for (const field of ['tags', 'note']) expect(ofMeasure(`${call}(${field})`)).toHaveLength(1);
    }
  });

  it('keeps one top of a field, because there is one sketch of it', () => {
    expect(mistakes({ measures: { a: 'top(item,5)', b: 'top(item,5)' } })).toEqual([]);
    expect(mistakes({ measures: { a: 'top(item,5)', b: 'top(item,50)' } })).toEqual([
      'measures.b: "item" already has top(item,5); keep the larger k only',
    ]);
  });

  it('bounds dimensions and measures', () => {
    const measures = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`m${index}`, 'count()']));
    expect(mistakes({ measures })).toEqual(['measures: a rollup has at most 32 measures, this one has 33']);
    expect(mistakes({ measures: {} })).toEqual([
      'measures: a rollup needs at least one measure, such as count()',
    ]);
    expect(mistakes({ by: Array.from({ length: 17 }, () => 'item') })).toHaveLength(1);
  });
});

describe('parseMeasure', () => {
  it('reads every measure, and a percentile as a quantile', () => {
    expect(parseMeasure(' count( ) ')).toEqual({ fn: 'count' });
    expect(parseMeasure('p99.9(x)')).toEqual({ fn: 'quantile', field: 'x' });
    expect(parseMeasure('top(x)')).toEqual({ fn: 'top', field: 'x', k: 10 });
    expect(parseMeasure('top(x, 1000)')).toEqual({ fn: 'top', field: 'x', k: 1000 });
  });

  it('says what is wrong with the rest', () => {
    for (const text of [
      'count',
      'count(x)',
      'sum()',
      'sum(a,b)',
      'sum(_a)',
      'sum(a',
      'sum(a))',
      'p101(x)',
      'top(x,0)',
      'top(x,1001)',
      'top(x,1.5)',
      'top(x,1,2)',
      'median(x)',
      '',
      'sum(a); DROP',
      'sum(`a`)',
    ]) {
      expect(parseMeasure(text), text).toHaveProperty('problem');
    }
  });
});
