/** A field that goes while something counts on it: refused with the names of all that do, by a put and in a plan. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import type { DefinitionKind } from '../../src/define/model.ts';
import { applyProject } from '../../src/project.ts';
import { createRegistry, type ProjectDocuments, type RunningRegistry } from '../../src/registry/index.ts';
import { type Recording, recordingParts, TENANT } from './parts.ts';

const CITY = { city: { type: 'string', optional: true } };
const REST = { at: 'timestamp', amount: 'int64' };
const SALES = { fields: { ...REST, ...CITY }, eventTime: 'at' };
const WITHOUT_CITY = { ...SALES, fields: REST };
const CITIES = { key: 'city', fields: { city: 'string', land: 'string', size: 'int64' } };
const WITHOUT_LAND = { key: 'city', fields: { city: 'string', size: 'int64' } };
const MEASURES = { n: 'count()' };
const window = (more: object) => ({ from: 'sales', tumbling: { size: '1m' }, measures: MEASURES, ...more });
const trigger = (more: object) => ({
  ...{ on: { stream: 'sales', over: '1h', every: '1m' }, measure: 'count()', when: { above: 1 } },
  ...more,
});
const report = (question: object) => ({ period: '1d', questions: { q: question } });
const stats = (asked: object) => report({ stream: 'sales', stats: asked });

let recording: Recording;
let registry: RunningRegistry;
const put = (kind: DefinitionKind, name: string, document: object) =>
  registry.put(TENANT, kind, name, document);
const refusalOf = (kind: DefinitionKind, name: string, document: object): Promise<string> =>
  put(kind, name, document).then(
    () => 'none',
    (error: unknown) => {
      if (!(error instanceof MillraceError) || error.code !== 'conflict') throw error;
      return error.message;
    },
  );
const plan = (project: Partial<ProjectDocuments>) =>
  registry.plan(TENANT, project).map(({ kind, name, action, reason = '' }) => [kind, name, action, reason]);

beforeEach(async () => {
  recording = await recordingParts();
  registry = createRegistry(recording.parts);
  await put('stream', 'sales', SALES);
  await put('table', 'cities', CITIES);
});

/** Each names the field `city` of the stream, some the column `land` of the table, too. */
const OF_CITY: readonly (readonly [DefinitionKind, object])[] = [
  ['window', window({ by: ['city'] })],
  ['window', window({ measures: { n: 'unique(city)' } })],
  ['window', window({ where: "`city` != '' AND length(city) > 2" })],
  ['window', window({ by: ['cities(city).land'] })],
  // By the field that is called as the table's key.
  ['window', window({ by: ['cities.land'] })],
  ['report', stats({ fn: 'count', where: 'cities.size:gt:3' })],
  ['trigger', trigger({ by: ['city'] })],
  ['trigger', trigger({ measure: 'unique(city)' })],
  ['trigger', trigger({ on: { stream: 'sales', over: '1h', every: '1m', where: ['city:eq:Ulm'] } })],
  ['report', stats({ fn: ['count', 'top(city, 3)'] })],
  ['report', stats({ fn: 'count', by: 'at, city' })],
  ['report', stats({ fn: 'count', where: 'city:eq:Ulm' })],
  ['report', report({ sql: 'SELECT s."city" FROM sales AS s' })],
];
const OF_LAND: readonly (readonly [DefinitionKind, object])[] = [
  ['window', window({ by: ['cities(city).land'] })],
  ['trigger', trigger({ by: ['cities(city).land'] })],
  ['report', stats({ fn: 'count', by: 'amount,cities(city) . land' })],
  ['report', stats({ fn: 'count', where: ['cities(city).land:eq:DE'] })],
  ['report', report({ sql: 'SELECT land FROM cities_history' })],
];
const FREE: readonly (readonly [DefinitionKind, object])[] = [
  ['window', window({ where: "amount > 0 AND 'city' != lower('land')" })],
  ['trigger', trigger({ measure: 'sum(amount)', by: ['amount'] })],
  ['report', stats({ fn: ['sum(amount)', 'count'], by: 'amount', order: '-count' })],
  ['report', report({ sql: 'SELECT count() -- of each city\nFROM sales, cities' })],
];

describe('a field that is taken away', () => {
  it.each(OF_CITY)('of a stream, is named by a %s %j: refused, and in the plan', async (kind, document) => {
    await put(kind, 'user', document);
    const reason = `the ${kind} "user" names its field "city"; change or remove that first`;
    expect(await refusalOf('stream', 'sales', WITHOUT_CITY)).toBe(
      `the stream "sales" cannot change like this: ${reason}`,
    );
    expect(plan({ streams: { sales: WITHOUT_CITY } })).toEqual([['stream', 'sales', 'refused', reason]]);
    await registry.remove(TENANT, kind, 'user');
    expect(await refusalOf('stream', 'sales', WITHOUT_CITY)).toBe('none');
  });

  it.each(OF_LAND)('of a table, is named by a %s %j: refused, and in the plan', async (kind, document) => {
    await put(kind, 'user', document);
    const reason = `the ${kind} "user" names its field "land"; change or remove that first`;
    expect(await refusalOf('table', 'cities', WITHOUT_LAND)).toBe(
      `the table "cities" cannot change like this: ${reason}`,
    );
    expect(plan({ tables: { cities: WITHOUT_LAND } })).toEqual([['table', 'cities', 'refused', reason]]);
  });

  it('is named by several: all are told at once', async () => {
    await put('window', 'w', window({ by: ['city'] }));
    await put('report', 'r', stats({ fn: 'unique(city)' }));
    expect(await refusalOf('stream', 'sales', WITHOUT_CITY)).toContain(
      'the window "w" names its field "city"; the report "r" names its field "city"; change or remove those first',
    );
  });

  it('is named by nothing but a rollup, which keeps what was: it goes', async () => {
    for (const [index, [kind, document]] of FREE.entries()) await put(kind, `user${index}`, document);
    await put('rollup', 'by_city', { from: 'sales', by: ['city'], every: '1m', measures: MEASURES });
    expect(plan({ streams: { sales: WITHOUT_CITY } })).toEqual([['stream', 'sales', 'change', '']]);
    expect(await refusalOf('stream', 'sales', WITHOUT_CITY)).toBe('none');
    expect(await refusalOf('table', 'cities', WITHOUT_LAND)).toBe('none');
    // What went before is no reason against a later change.
    expect(await refusalOf('stream', 'sales', { ...WITHOUT_CITY, future: '2d' })).toBe('none');
  });
});

it('a field that is renamed is still meant by its earlier name, but not in SQL', async () => {
  await put('window', 'w', window({ by: ['city'] }));
  await put('trigger', 't', trigger({ by: ['city'] }));
  const town = { town: { type: 'string', optional: true, alias: ['city'] } };
  expect(await refusalOf('stream', 'sales', { ...SALES, fields: { ...REST, ...town } })).toBe('none');
  await put('window', 'picky', window({ where: "town = 'Ulm'" }));
  const back = { city: { type: 'string', optional: true, alias: ['town'] } };
  expect(await refusalOf('stream', 'sales', { ...SALES, fields: { ...REST, ...back } })).toContain(
    'the window "picky" names its field "town"',
  );
});

describe('a project that gives up a field and what names it', () => {
  const before = {
    streams: { sales: SALES },
    windows: { w: window({ by: ['city'] }) },
    reports: { r: stats({ fn: 'count', by: 'city' }) },
  };
  beforeEach(() => apply(before));
  const apply = (project: Partial<ProjectDocuments>) =>
    applyProject(
      {
        ...{ catalog: recording.catalog, registry, runs: recording.parts.runs },
        audit: { record: async () => undefined },
      },
      project,
      1_000,
    );

  it('is applied in the order in which it can be', async () => {
    const after = {
      streams: { sales: WITHOUT_CITY, other: { fields: REST } },
      windows: { w: window({ by: ['amount'] }), fresh: window({}) },
      reports: { r: stats({ fn: 'count' }) },
    };
    expect(plan(after).map(([kind, name]) => [kind, name])).toEqual([
      ['stream', 'other'],
      ['window', 'w'],
      ['report', 'r'],
      ['stream', 'sales'],
      ['window', 'fresh'],
    ]);
    await apply(after);
    expect(plan(after).every(([, , action]) => action === 'none')).toBe(true);
  });

  it('is refused when something names it still, or needs the change itself', async () => {
    const { r } = before.reports;
    expect(plan({ streams: { sales: WITHOUT_CITY }, windows: { w: window({}) }, reports: { r } })[0]).toEqual(
      [
        ...[
          'stream',
          'sales',
          'refused',
          'the report "r" names its field "city"; change or remove that first',
        ],
      ],
    );
    const sales = { ...SALES, fields: { ...REST, shop: { type: 'string', optional: true } } };
    const needs = {
      streams: { sales },
      windows: { w: window({ by: ['shop'] }) },
      reports: { r: stats({ fn: 'count' }) },
    };
    expect(plan(needs)[0]![3]).toContain(
      'the window "w" names its field "city", and what the project makes of it needs',
    );
    await expect(apply(needs)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('asks the same of the results of a window', async () => {
    const fields = { window_start: 'timestamp', n: 'uint64', city: { type: 'string', optional: true } };
    await registry.put(TENANT, 'stream', 'w', { fields, resultOf: 'window' }, { asResult: true });
    const on = trigger({ on: { window: 'w' }, measure: 'n', by: ['city'] });
    const totals = report({ sql: 'SELECT sum(n) FROM w' });
    await apply({ triggers: { t: on }, reports: { totals } });
    const w = window({ by: ['city'], measures: { m: 'count()' } });
    expect(plan({ windows: { w } })[0]![3]).toMatch(
      /^the trigger "t" stands on it, and would not fit .*; the report "totals" names its field "n"; change or remove those first$/,
    );
    const reports = { totals: report({ sql: 'SELECT count() FROM w' }) };
    const both = plan({ windows: { w }, triggers: { t: { ...on, measure: 'm' } }, reports });
    expect(both[0]![3]).toMatch(/the trigger "t" stands on it.*take two steps/);
    await registry.remove(TENANT, 'trigger', 't');
    expect(plan({ windows: { w }, reports }).map(([kind]) => kind)).toEqual(['report', 'window']);
  });
});
