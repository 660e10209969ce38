import { beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { carryOver } from '../../src/registry/carry-over.ts';
import { planProject, planRollup, planStream } from '../../src/registry/index.ts';
import { mistakesOf } from '../define/issues.ts';

const FIELDS = {
  id: 'uint64',
  at: 'timestamp',
  city: { type: 'string', maxLength: 10, optional: true },
  color: { type: 'enum', values: ['red', 'blue'] },
  price: { type: 'decimal', precision: 18, scale: 2 },
  tags: { type: 'array', of: { type: 'enum', values: ['a'] } },
};
const BASE = { fields: FIELDS, eventId: 'id', eventTime: 'at' };
const before = parseStream('s', BASE);
// Through JSON, so that `undefined` takes a key away.
const plan = (document: object) =>
  planStream(
    before,
    carryOver(before, parseStream('s', JSON.parse(JSON.stringify({ ...BASE, ...document })))),
  );
const withFields = (fields: object) => plan({ fields: { ...FIELDS, ...fields } });

describe('planStream', () => {
  it('creates what is not there and leaves alone what is the same', () => {
    expect(planStream(undefined, before)).toMatchObject({ action: 'create', kind: 'stream', name: 's' });
    expect(plan({})).toEqual({ kind: 'stream', name: 's', action: 'none', effects: [] });
    expect(plan({ dedupe: { within: '24h' }, partitions: 1, future: '1d' }).action).toBe('none');
  });

  it('adds optional fields at once', () => {
    expect(withFields({ size: { type: 'int32', optional: true } })).toMatchObject({
      action: 'change',
      effects: ['adds the field "size" (instant; empty in the events stored so far)'],
    });
  });

  it.each([
    ['dedupe', { dedupe: false }],
    ['lateness', { lateness: { allowed: '1m' } }],
    ['future', { future: '2d' }],
    ['retention', { retention: { hot: '30d' } }],
    ['maxLength', { fields: { ...FIELDS, city: { type: 'string', maxLength: 99, optional: true } } }],
    ['values added', { fields: { ...FIELDS, color: { type: 'enum', values: ['red', 'green', 'blue'] } } }],
    [
      'values added in an array',
      { fields: { ...FIELDS, tags: { type: 'array', of: { type: 'enum', values: ['a', 'b'] } } } },
    ],
    ['an array made optional', { fields: { ...FIELDS, tags: { ...FIELDS.tags, optional: true } } }],
    ['required to optional', { fields: { ...FIELDS, price: { ...FIELDS.price, optional: true } } }],
    ['more digits', { fields: { ...FIELDS, price: { ...FIELDS.price, precision: 30 } } }],
    ['a field that is no longer written', { fields: { ...FIELDS, city: undefined } }],
    ['a retired field', { fields: { ...FIELDS, price: { ...FIELDS.price, retired: true } } }],
    [
      'a new name',
      {
        fields: {
          ...FIELDS,
          city: undefined,
          town: { type: 'string', maxLength: 10, optional: true, alias: ['city'] },
        },
      },
    ],
  ])('changes what touches nothing stored at once: %s', (_, document) => {
    const change = plan(document);
    expect(change.action).toBe('change');
    expect(change.effects).toHaveLength(1);
    expect(change.effects[0]).toContain('instant');
  });

  it.each([
    ['a new required field', { fields: { ...FIELDS, size: 'int32' } }],
    ['another type', { fields: { ...FIELDS, city: { type: 'uuid', optional: true } } }],
    ['another scale', { fields: { ...FIELDS, price: { type: 'decimal', precision: 18, scale: 4 } } }],
    ['a lost value', { fields: { ...FIELDS, color: { type: 'enum', values: ['red'] } } }],
    ['other elements', { fields: { ...FIELDS, tags: { type: 'array', of: 'string' } } }],
    ['optional to required', { fields: { ...FIELDS, city: { type: 'string', maxLength: 10 } } }],
    ['eventId', { eventId: undefined }],
    ['eventTime', { eventTime: undefined }],
    ['partitionBy', { partitionBy: 'id' }],
    ['partitions', { partitions: 2 }],
  ])('refuses what would change the meaning of what is stored: %s', (_, document) => {
    const change = plan(document);
    expect(change).toMatchObject({ action: 'refused', effects: [] });
    expect(change.reason).toMatch(/cannot|must be optional/);
  });

  it('gives every reason of a refusal', () => {
    const { reason } = plan({ partitions: 2, fields: { ...FIELDS, size: 'int32', price: 'float64' } });
    expect(reason).toContain('"size"');
    expect(reason).toContain('"price"');
    expect(reason).toContain('partitions');
  });
});

describe('planRollup', () => {
  const stream = parseStream('s', { ...BASE, retention: { hot: '30d' } });
  const rollup = (document: object) =>
    parseRollup(
      'r',
      { from: 's', by: ['city'], every: '1m', measures: { n: 'count()', best: 'max(price)' }, ...document },
      () => stream,
    );

  it('builds a new one from what is stored, and says how far that reaches back', () => {
    expect(planRollup(undefined, rollup({}), stream)).toMatchObject({
      action: 'create',
      effects: [
        'builds from the stored events of "s", which reach back 30d (backfill: it answers when it is whole)',
      ],
    });
    expect(planRollup(rollup({}), rollup({}), stream).action).toBe('none');
  });

  it('tells what is different', () => {
    const next = rollup({ every: '10s', measures: { n: 'count()', total: 'sum(price)' } });
    expect(planRollup(rollup({}), next, stream)).toMatchObject({
      action: 'change',
      effects: [
        'changes every from 1m to 10s',
        'adds the measure total: sum(price)',
        'removes the measure best',
        'builds anew from the stored events of "s", which reach back 30d (backfill: the old one answers until then)',
      ],
    });
  });
});

describe('planProject', () => {
  let catalog: Catalog;
  beforeAll(async () => {
    catalog = await openCatalog(':memory:', new ManualClock());
    await catalog.put(DEFAULT_TENANT, before);
  });
  const rollup = (from: string, by: string[]) => ({ from, by, every: '1m', measures: { n: 'count()' } });

  it('plans streams before rollups, and rollups over the streams of the project', () => {
    const fields = { ...FIELDS, fresh: { type: 'string', optional: true } };
    const changes = planProject(catalog, DEFAULT_TENANT, {
      rollups: { by_fresh: rollup('s', ['fresh']), of_new: rollup('brand_new', []) },
      streams: { s: { ...BASE, fields }, brand_new: { fields: { a: 'json' } } },
    });
    expect(changes.map(({ kind, name, action }) => [kind, name, action])).toEqual([
      ['stream', 's', 'change'],
      ['stream', 'brand_new', 'create'],
      ['rollup', 'by_fresh', 'create'],
      ['rollup', 'of_new', 'create'],
    ]);
  });

  it('takes the streams that the project does not name from the catalog', () => {
    const changes = planProject(catalog, DEFAULT_TENANT, {
      streams: {},
      rollups: { r: rollup('s', ['city']) },
    });
    expect(changes.map((change) => change.name)).toEqual(['r']);
  });

  it('tells what a report reads, also in SQL, and what is not there so far', () => {
    const sql = 'WITH o AS (SELECT * FROM s) SELECT * FROM o, cities_history, fresh, later';
    const stats = { fn: 'count', by: 'cities(city).land' };
    const [report] = planProject(catalog, DEFAULT_TENANT, {
      streams: { fresh: { fields: { a: 'json' } } },
      tables: { cities: { key: 'city', fields: { city: 'string', land: 'string' } } },
      reports: { r: { period: '1d', questions: { a: { sql }, b: { stream: 's', stats } } } },
    }).filter(({ kind }) => kind === 'report');
    expect(report!.effects).toEqual([
      'makes the report',
      'reads the stream "s", the table "cities", the stream "fresh"',
      'names "later", which is neither stream nor rollup nor table so far',
    ]);
  });

  it('reports the mistakes of every document at once', () => {
    expect(
      mistakesOf(() =>
        planProject(catalog, DEFAULT_TENANT, {
          streams: { s: BASE, t: { fields: { a: 'nope', b: 'nope' } } },
          rollups: {
            r: rollup('s', ['nope']),
            of_t: rollup('t', ['a']),
            constructor: rollup('toString', []),
          },
        }),
      ).map((mistake) => mistake.split(': ')[0]),
    ).toEqual(['streams.t.fields.a', 'streams.t.fields.b', 'rollups.r.by.0', 'rollups.constructor.from']);
  });
});

describe('a declared rate of ids', () => {
  const document = (rate: number) => ({
    fields: { id: 'string' },
    eventId: 'id',
    dedupe: { within: '30d', rate },
  });
  const plan = async (rate: number, bytes: number) =>
    planProject(
      await openCatalog(':memory:', new ManualClock()),
      DEFAULT_TENANT,
      { streams: { s: document(rate) }, rollups: {} },
      bytes,
    );

  it('that fits says nothing, one that spills says so, one that does not fit is refused with the numbers', async () => {
    expect((await plan(10, 2 ** 32))[0]!.effects).toHaveLength(1);
    expect((await plan(100, 2 ** 32))[0]!.effects.at(-1)).toContain('older ids are looked up on disk');
    await expect(plan(100_000, 2 ** 32)).rejects.toThrow(/do not fit.*MILLRACE_DEDUP_MEMORY/);
  });
});
