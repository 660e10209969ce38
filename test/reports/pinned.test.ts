/** The same period of the same data version is the same bytes, whatever came later and however the engine keeps its rows. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MillraceClient, ReportRunInfo } from '../../src/client/index.ts';
import { openWorld, type World } from './world.ts';

const FROM = Date.UTC(2024, 2, 1, 12);
const HOUR = 3_600_000;
const PERIOD = { from: new Date(FROM).toISOString(), to: new Date(FROM + HOUR).toISOString() };
const MERCHANTS = ['m1', 'm2', 'm3', 'm4'];

const ORDERS = {
  fields: {
    order_id: 'string',
    at: 'timestamp',
    merchant: 'string',
    amount: { type: 'decimal', precision: 12, scale: 2 },
    weight: 'float64',
  },
  ...{ eventId: 'order_id', eventTime: 'at', partitionBy: 'merchant', partitions: 2 },
};
const SHOPS = {
  key: 'merchant',
  fields: { merchant: 'string', country: { type: 'string', optional: true } },
};
const within = 'at >= {from:DateTime64(3)} AND at < {to:DateTime64(3)}';
const REPORT = {
  period: '1h',
  questions: {
    // No order at all.
    rows: { sql: `SELECT * FROM orders WHERE ${within}` },
    // An order with ties, cut in their midst.
    ties: { sql: `SELECT merchant, weight FROM orders WHERE ${within} ORDER BY merchant LIMIT 7` },
    per_merchant: { sql: `SELECT * FROM orders WHERE ${within} LIMIT 1 BY merchant` },
    // They depend on the order in which rows are read.
    ordered: {
      sql: `SELECT any(order_id) AS a, groupArray(order_id) AS b, sum(weight) AS c, avg(weight) AS d, argMax(order_id, merchant) AS e
            FROM orders WHERE ${within}`,
    },
    inner_cut: {
      sql: `SELECT groupArray(merchant) AS m FROM (SELECT merchant FROM orders WHERE ${within} LIMIT 5)`,
    },
    by_country: {
      sql: `SELECT s.country AS country, count() AS n, sum(o.amount) AS amount FROM orders AS o
            LEFT JOIN shops AS s ON s.merchant = o.merchant WHERE ${within} GROUP BY country`,
    },
    union: { sql: `SELECT merchant FROM orders WHERE ${within} UNION ALL SELECT country FROM shops` },
    history: { sql: 'SELECT * FROM shops_history' },
    per_hour: { sql: 'SELECT * FROM hourly' },
    joined: { stream: 'orders', stats: { fn: ['count', 'sum(amount)'], by: 'shops.country' } },
    at_the_event: { stream: 'orders', stats: { fn: 'count', by: 'shops.country', asof: 'event' } },
    floats: {
      stream: 'orders',
      stats: { fn: ['sum(weight)', 'avg(weight)', 'top(merchant,2)'], every: '10m' },
    },
  },
};

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

let tenants = 0;
async function begin(): Promise<{ readonly tenant: string; readonly client: MillraceClient }> {
  tenants += 1;
  const tenant = `pinned${tenants}`;
  await world.client.tenants.put(tenant, {});
  const client = world.clientOf(tenant);
  await client.put('stream', 'orders', ORDERS);
  await client.put('rollup', 'hourly', {
    ...{ from: 'orders', by: ['merchant'], every: '1h' },
    measures: { n: 'count()', weight: 'sum(weight)', top: 'top(order_id,2)' },
  });
  await client.put('table', 'shops', SHOPS);
  await client.put('report', 'all', REPORT);
  return { tenant, client };
}

let orders = 0;
const orderAt = (minute: number, merchant: string) => {
  orders += 1;
  const weight = (orders * 0.1 + 1e9 * (orders % 3)) * (orders % 2 === 0 ? 1 : -1);
  return {
    ...{ order_id: `o${orders}`, at: new Date(FROM + minute * 60_000 + (orders % 5) * 1_000), merchant },
    ...{ amount: '1.10', weight },
  };
};

type Step =
  | { readonly do: 'send'; readonly minutes: readonly number[]; readonly merchant: string }
  | {
      readonly do: 'put';
      readonly merchant: string;
      readonly country: string;
      readonly since: number | undefined;
    }
  | { readonly do: 'remove'; readonly merchant: string }
  | { readonly do: 'merge' }
  | { readonly do: 'run' };
const merchant = fc.constantFrom(...MERCHANTS);
const steps = fc.array(
  fc.oneof(
    fc.record({
      ...{ do: fc.constant('send' as const), merchant },
      minutes: fc.array(fc.integer({ min: -30, max: 90 }), { minLength: 1, maxLength: 6 }),
    }),
    fc.record({
      ...{ do: fc.constant('put' as const), merchant, country: fc.constantFrom('de', 'fr', 'at') },
      // The same moment again and again: it corrects what was said about it.
      since: fc.option(fc.constantFrom(FROM - HOUR, FROM + HOUR / 2), { nil: undefined }),
    }),
    fc.record({ do: fc.constant('remove' as const), merchant }),
    fc.constant({ do: 'merge' as const }),
    fc.constant({ do: 'run' as const }),
  ),
  { minLength: 4, maxLength: 8 },
);

async function carryOut(tenant: string, client: MillraceClient, step: Step): Promise<void> {
  switch (step.do) {
    case 'send':
      await client.processEvents(
        'orders',
        step.minutes.map((minute) => orderAt(minute, step.merchant)),
        { ack: 'stored', idField: 'order_id' },
      );
      return;
    case 'put':
      await client.tables.put('shops', [{ merchant: step.merchant, country: step.country }], {
        ...(step.since === undefined ? {} : { validFrom: new Date(step.since) }),
      });
      return;
    case 'remove':
      await client.tables.remove('shops', step.merchant);
      return;
    case 'merge':
      for (const table of ['events_orders', 'dimension_shops'])
        await world.engine.execute({ text: `OPTIMIZE TABLE t_${tenant}.${table} FINAL` });
      return;
    case 'run':
  }
}

const run = (client: MillraceClient, version?: ReportRunInfo['data_version']) =>
  client.reports.run('all', { ...PERIOD, ...(version === undefined ? {} : { data_version: version }) });

describe('a data version', () => {
  it('gives the same bytes again, whatever is sent, told, corrected, removed and merged meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(steps, steps, async (before, after) => {
        const { tenant, client } = await begin();
        await carryOut(tenant, client, { do: 'send', minutes: [5, 10, 15, 20, 59], merchant: 'm1' });
        for (const step of before) await carryOut(tenant, client, step);
        const runs = [await run(client)];
        expect(runs[0]).toMatchObject({ state: 'done', error: null });
        for (const step of after) {
          await carryOut(tenant, client, step);
          if (step.do === 'run' && runs.length < 2) runs.push(await run(client));
        }
        await carryOut(tenant, client, { do: 'merge' });
        for (const one of runs) {
          const again = await run(client, one.data_version);
          expect(again.state, String(again.error)).toBe('done');
          expect(again.files).toEqual(one.files);
        }
        // The newest has all of it.
        const newest = await run(client);
        const isSame = JSON.stringify(newest.data_version) === JSON.stringify(runs[0]!.data_version);
        if (isSame) expect(newest.files).toEqual(runs[0]!.files);
        expect((await client.reports.get('all', newest.id)).stale).toBe(false);
      }),
      { numRuns: 1, endOnFailure: true },
    );
  }, 240_000);
});

const fails = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );

describe('what cannot be asked again', () => {
  it('is refused when the report is defined: the present moment, words that the engine does not read, unknown functions', async () => {
    const { client } = await begin();
    const put = (sql: string) =>
      fails(client.put('report', 'bad', { period: '1h', questions: { one: { sql } } }));
    expect(await put('SELECT count() AS n FROM orders WHERE at > now() - 60')).toMatch(
      /questions\.one\.sql: .*now\(\) is another moment in every run.*\{to:DateTime\}/,
    );
    for (const sql of ['SELECT today()', 'SELECT NOW64(3)', 'SELECT yesterday() AS now'])
      expect(await put(sql)).toContain('another moment in every run');
    expect(await put('SELECT 1 FRM orders FROM')).toContain('questions.one.sql');
    expect(await put("SELECT * FROM file('/etc/passwd')")).toContain('not allowed');
    expect(await put('SELECT {nothing:String}')).toContain('questions.one.sql');
    // A tenant that has nothing yet may begin with a report; what it names may come later.
    await world.client.tenants.put('fresh', {});
    const fresh = world.clientOf('fresh');
    const early = { period: '1h', questions: { one: { sql: 'SELECT count() AS n FROM later' } } };
    await fresh.put('report', 'early', early);
    await fresh.put('stream', 'later', { fields: { n: 'int64' } });
    expect(await fresh.reports.run('early', PERIOD)).toMatchObject({ state: 'done' });
    // What is only called so is no moment.
    expect(await put("SELECT 'now()' AS today, merchant AS now FROM orders")).toBe('it did not fail');
  });

  it('is refused with the data version of a table without history, once it has changed', async () => {
    const { client } = await begin();
    await client.put('table', 'grades', { ...SHOPS, history: false });
    await client.put('report', 'graded', { period: '1h', questions: { g: { sql: 'SELECT * FROM grades' } } });
    await client.tables.put('grades', [{ merchant: 'm1', country: 'de' }]);
    const first = await client.reports.run('graded', PERIOD);
    const again = await client.reports.run('graded', { ...PERIOD, data_version: first.data_version });
    expect(again.files).toEqual(first.files);
    expect((await client.reports.get('graded', first.id)).stale).toBe(false);
    await client.tables.put('grades', [{ merchant: 'm1', country: 'fr' }]);
    expect((await client.reports.get('graded', first.id)).stale).toBe(true);
    expect(
      await fails(client.reports.run('graded', { ...PERIOD, data_version: first.data_version })),
    ).toContain('keeps no history');
  });
});

describe('what a report reads', () => {
  it('cannot be removed before the report: streams, rollups and tables, also in SQL', async () => {
    const { client } = await begin();
    for (const kind of ['rollup', 'table'] as const)
      expect(await fails(client.remove(kind, kind === 'rollup' ? 'hourly' : 'shops'))).toContain(
        'is named by the report "all"',
      );
    await client.remove('report', 'all');
    const sql = 'WITH o AS (SELECT * FROM `orders`) SELECT count() AS n FROM o';
    await client.put('report', 'counted', { period: '1h', questions: { n: { sql } } });
    await client.remove('rollup', 'hourly');
    expect(await fails(client.remove('stream', 'orders'))).toContain('is named by the report "counted"');
    await client.remove('report', 'counted');
    await client.remove('table', 'shops');
    await client.remove('stream', 'orders');
  });

  it('makes it stale where it looks, and nowhere else', async () => {
    const { tenant, client } = await begin();
    const questions = {
      day: { only: { stream: 'orders', stats: { fn: 'count', from: '-1d' } } },
      hour: { only: { sql: `SELECT count() AS n FROM orders WHERE ${within}` } },
      open: { only: { sql: 'SELECT count() AS n FROM orders' } },
      table: { only: { sql: 'SELECT * FROM shops' } },
    };
    const ids = new Map<string, string>();
    for (const [name, asked] of Object.entries(questions)) {
      await client.put('report', name, { period: '1h', questions: asked });
      ids.set(name, (await client.reports.run(name, PERIOD)).id);
    }
    const stale = async () =>
      Promise.all([...ids].map(async ([name, id]) => (await client.reports.get(name, id)).stale));
    const send = (minute: number) =>
      carryOut(tenant, client, { do: 'send', minutes: [minute], merchant: 'm1' });
    expect(await stale()).toEqual([false, false, false, false]);
    await send(61);
    expect(await stale()).toEqual([false, false, null, false]);
    await send(-90);
    expect(await stale()).toEqual([true, false, null, false]);
    await send(30);
    expect(await stale()).toEqual([true, true, true, false]);
    await client.tables.put('shops', [{ merchant: 'm9', country: 'de' }]);
    expect(await stale()).toEqual([true, true, true, true]);
  });
});
