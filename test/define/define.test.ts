import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  avg,
  count,
  defineConfig,
  defineRollup,
  defineStream,
  max,
  min,
  parseRollup,
  parseStream,
  quantile,
  rollupDocument,
  streamDocument,
  sum,
  t,
  top,
  unique,
} from '../../src/define/index.ts';
import { mistakesOf } from './issues.ts';

const everything = defineStream('everything', {
  fields: {
    a: t.bool(),
    b: t.int32(),
    c: t.int64(),
    d: t.uint64(),
    e: t.float64().optional(),
    f: t.decimal(18, 2),
    g: t.string({ maxLength: 10 }).optional(),
    h: t.enum('x', 'y'),
    i: t.timestamp(),
    j: t.uuid().optional().optional(),
    k: t.ip(),
    l: t.json<{ deep: number[] }>(),
    m: t.array(t.enum('p', 'q')).optional(),
    n: t.string(),
  },
  eventId: 'd',
  eventTime: 'i',
  partitionBy: 'n',
  partitions: 4,
  dedupe: { within: '1h' },
  lateness: { allowed: '5m' },
  future: '2h',
  retention: { log: '7d', hot: '30d' },
});

describe('defineStream', () => {
  it('is the same as parsing the JSON document', () => {
    expect(everything).toEqual(
      parseStream('everything', {
        fields: {
          a: 'bool',
          b: 'int32',
          c: 'int64',
          d: 'uint64',
          e: { type: 'float64', optional: true },
          f: { type: 'decimal', precision: 18, scale: 2 },
          g: { type: 'string', maxLength: 10, optional: true },
          h: { type: 'enum', values: ['x', 'y'] },
          i: 'timestamp',
          j: { type: 'uuid', optional: true },
          k: 'ip',
          l: 'json',
          m: { type: 'array', of: { type: 'enum', values: ['p', 'q'] }, optional: true },
          n: 'string',
        },
        eventId: 'd',
        eventTime: 'i',
        partitionBy: 'n',
        partitions: 4,
        dedupe: { within: '1h' },
        lateness: { allowed: '5m' },
        future: '2h',
        retention: { log: '7d', hot: '30d' },
      }),
    );
  });

  it('throws the same mistakes as the server would answer', () => {
    const document = { fields: { a: { type: 'decimal', precision: 50, scale: 2 } }, partitions: 0 };
    const parsed = mistakesOf(() => parseStream('X', document));
    expect(mistakesOf(() => defineStream('X', { fields: { a: t.decimal(50, 2) }, partitions: 0 }))).toEqual(
      parsed,
    );
    expect(parsed.map((one) => one.split(':')[0])).toEqual(['name', 'fields.a.precision', 'partitions']);
  });
});

describe('defineRollup', () => {
  it('is the same as parsing the JSON document', () => {
    const rollup = defineRollup('r', {
      from: everything,
      by: ['h', 'n'],
      every: '10m',
      measures: {
        events: count(),
        total: sum('f'),
        mean: avg('e'),
        first: min('i'),
        last: max('n'),
        ids: unique('d'),
        spread: quantile('b'),
        best: top('n', 20),
      },
    });
    expect(rollup).toEqual(
      parseRollup(
        'r',
        {
          from: 'everything',
          by: ['h', 'n'],
          every: '10m',
          measures: {
            events: 'count()',
            total: 'sum(f)',
            mean: 'avg(e)',
            first: 'min(i)',
            last: 'max(n)',
            ids: 'unique(d)',
            spread: 'quantile(b)',
            best: 'top(n,20)',
          },
        },
        () => everything,
      ),
    );
  });
});

describe('defineConfig', () => {
  it('fills in what is left out', () => {
    expect(defineConfig({})).toEqual({ kind: 'config', settings: {}, definitions: [] });
  });
});

describe('the published schemas', () => {
  it('become JSON Schema that forbids unknown keys', () => {
    for (const schema of [streamDocument, rollupDocument]) {
      expect(z.toJSONSchema(schema)).toMatchObject({ type: 'object', additionalProperties: false });
    }
  });
});
