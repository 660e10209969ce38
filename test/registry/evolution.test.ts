import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT as TENANT } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { checkEvent } from '../../src/collect/validate.ts';
import { createEvents, createQuarantine, createStats } from '../../src/stats/index.ts';
import {
  applied,
  bucketsOf,
  makeWorld,
  type Process,
  powerCutAt,
  rollupTables,
  type World,
} from './world.ts';

const FIELDS = {
  id: 'uint64',
  at: 'timestamp',
  city: 'string',
  size: 'int32',
  amount: { type: 'decimal', precision: 10, scale: 2 },
  tags: { type: 'array', of: 'string' },
};
const SALES = { fields: FIELDS, eventId: 'id', eventTime: 'at', dedupe: { within: '30d' } };
const BY_CITY = { from: 'sales', by: ['city'], every: '1m', measures: { n: 'count()', a: 'sum(amount)' } };
const BY_SIZE = { from: 'sales', by: ['size'], every: '1m', measures: { n: 'count()', hi: 'max(amount)' } };

const sale = (id: number, more: object = {}) => ({
  id,
  at: new Date(Date.UTC(2024, 4, 1) + id * 61_000).toISOString(),
  city: ['Ulm', 'Bonn'][id % 2],
  size: id % 5,
  amount: '1.50',
  tags: ['x'],
  ...more,
});
const sales = (from: number, count: number, more: object = {}) =>
  Array.from({ length: count }, (_, i) => sale(from + i, more));

let world: World;
let process: Process;
beforeEach(async () => {
  world = makeWorld();
  process = await world.start();
  await process.registry.put(TENANT, 'stream', 'sales', SALES);
  await send(sales(0, 60));
});
afterEach(async () => {
  await process.stop();
  await world.close();
});

const send = async (events: readonly object[]) =>
  applied(process, 'sales', await world.append('sales', events));
const put = (fields: object, more: object = {}) =>
  process.registry.put(TENANT, 'stream', 'sales', { ...SALES, fields, ...more });
const plan = (fields: object, more: object = {}) =>
  process.registry.plan(TENANT, { streams: { sales: { ...SALES, fields, ...more } }, rollups: {} })[0]!;
const parts = () => ({ ...process, engine: world.engine, log: world.log, clock: systemClock });
const ask = async (fn: string[], by: string[] = [], where: string[] = []) =>
  JSON.parse(
    (await createStats(parts()).ask(TENANT, 'sales', { fn, by: by.join(',') || undefined, where } as never))
      .rowsJson,
  );
const events = async (limit = 1) =>
  JSON.parse((await createEvents(parts()).list(TENANT, 'sales', { limit } as never)).eventsJson);
const quarantined = async () =>
  (await createQuarantine(parts()).list(TENANT, 'sales', {} as never)).reasons.length;
const exact = async (name: string) =>
  expect(await bucketsOf(world.engine, process.catalog, name, 'table')).toEqual(
    await bucketsOf(world.engine, process.catalog, name, 'events'),
  );

describe('a renamed field', () => {
  const { amount, ...others } = FIELDS;
  const RENAMED = { ...others, total: { ...amount, alias: ['amount'] } };

  it('keeps what is stored, is understood by both names, and rollups follow without being built anew', async () => {
    await process.registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
    expect(plan(RENAMED)).toMatchObject({
      action: 'change',
      effects: ['renames the field "amount" to "total" (instant; the old name is still understood)'],
    });
    await put(RENAMED);
    await send([...sales(100, 5), ...sales(200, 5, { amount: undefined, total: '2.50' })]);
    await send(sales(300, 5, { amount: '9.00', total: '1.00' }));
    // 60 and 5 at 1.50, 5 at 2.50; where both are sent, the new name counts.
    expect(await ask(['sum(total)'])).toEqual([{ 'sum(total)': 115 }]);
    expect(Object.values((await ask(['sum(amount)']))[0] as object)).toEqual([115]);
    expect((await ask(['count'], [], ['amount:gte:2']))[0]).toMatchObject({ count: 5 });
    expect(process.catalog.rollup(TENANT, 'by_city')).toMatchObject({
      version: 1,
      document: { measures: { a: 'sum(total)' } },
    });
    await exact('by_city');
    expect((await events())[0]).toMatchObject({ total: 1 });
    expect((await events())[0]).not.toHaveProperty('amount');
    expect(await quarantined()).toBe(0);
    // The same definition again changes nothing, with or without the column that it lies in.
    expect(plan(RENAMED).action).toBe('none');
    expect(process.catalog.stream(TENANT, 'sales')?.document).toMatchObject({
      fields: { total: { alias: ['amount'], column: 'amount' } },
    });
  });

  it('may be the one that a rollup groups by, the id, or the time', async () => {
    await process.registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
    const { city: _city, id: _id, at: _at, ...rest } = FIELDS;
    const fields = {
      ...rest,
      town: { type: 'string', alias: ['city'] },
      number: { type: 'uint64', alias: ['id'] },
      seen: { type: 'timestamp', alias: ['at'] },
    };
    await put(fields, { eventId: 'number', eventTime: 'seen' });
    await send([
      ...sales(55, 10),
      { number: 70, seen: '2024-05-02T00:00:00Z', town: 'Jena', size: 1, amount: 1, tags: [] },
    ]);
    expect(await ask(['count'], ['town'])).toMatchObject([
      { town: 'Ulm', count: 33 },
      { town: 'Bonn', count: 32 },
      { town: 'Jena', count: 1 },
    ]);
    expect(await ask(['count'], ['city'])).toHaveLength(3);
    await exact('by_city');
  });

  it('may be of any kind, and is as strict under every name', async () => {
    const kinds = {
      id: 'uint64',
      at: 'timestamp',
      b: 'bool',
      s: { type: 'string', maxLength: 3 },
      e: { type: 'enum', values: ['x', 'y'] },
      j: { type: 'json', optional: true },
      l: { type: 'array', of: 'int32' },
      t: { type: 'array', of: 'string' },
      w: 'timestamp',
    };
    const roles = { eventId: 'id', eventTime: 'at' };
    const renamed = Object.fromEntries(
      Object.entries(kinds).map(([name, type]) => [
        ['id', 'at'].includes(name) ? name : `new_${name}`,
        ['id', 'at'].includes(name)
          ? type
          : { ...(typeof type === 'string' ? { type } : type), alias: [`mid_${name}`, name] },
      ]),
    );
    const right = {
      b: true,
      s: 'abc',
      e: 'x',
      j: { a: [1] },
      l: [1, 2],
      t: ['u'],
      w: '2024-01-01T00:00:00Z',
    };
    const wrong = { b: 2, s: 'abcd', e: 'z', l: [1.5], t: [1], w: 1_700_000_000 };
    const under = (prefix: string, values: object) =>
      Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
    await process.registry.put(TENANT, 'stream', 'kinds', { ...roles, fields: kinds });
    await process.registry.put(TENANT, 'stream', 'kinds', { ...roles, fields: renamed });
    const base = (id: number) => ({ id, at: '2024-05-01T00:00:00Z' });
    const lines: object[] = ['', 'mid_', 'new_'].map((prefix, id) => ({
      ...base(id),
      ...under(prefix, right),
    }));
    for (const prefix of ['', 'mid_', 'new_']) {
      for (const [name, value] of Object.entries(wrong)) {
        lines.push({ ...base(lines.length), ...under(prefix, { ...right, [name]: value }) });
      }
    }
    // A null under the new name does not hide what the earlier one says.
    lines.push({ ...base(99), ...under('new_', { ...right, s: null, t: null }), s: 'old', mid_t: ['old'] });
    await applied(process, 'kinds', await world.append('kinds', lines));
    const list = JSON.parse(
      (await createEvents(parts()).list(TENANT, 'kinds', { limit: 100 } as never)).eventsJson,
    ) as { id: number }[];
    expect(list.map((event) => event.id).sort((a, b) => a - b)).toEqual([0, 1, 2, 99]);
    for (const event of list)
      expect(event).toMatchObject(under('new_', { b: true, e: 'x', l: [1, 2], j: { a: [1] } }));
    expect(list.find((event) => event.id === 99)).toMatchObject({ new_s: 'old', new_t: ['old'] });
    const { definition } = process.catalog.stream(TENANT, 'kinds')!;
    expect(lines.map((line) => checkEvent(definition, line as never).length > 0)).toEqual(
      lines.map((line) => !list.some((event) => event.id === (line as { id: number }).id)),
    );
  });

  it('does not give its column away', async () => {
    await put(RENAMED);
    await expect(
      put({ ...others, total: { ...amount, column: 'amount' }, amount: { type: 'int32', optional: true } }),
    ).rejects.toMatchObject({
      code: 'bad-definition',
      message: expect.stringContaining('the column "amount" already holds the field "total"'),
    });
    expect(() => plan({ ...FIELDS, total: { ...amount, optional: true, alias: ['amount'] } })).toThrow(
      'already names the field "amount"',
    );
  });
});

describe('a widened type', () => {
  const WIDER = {
    ...FIELDS,
    size: 'int64',
    amount: { type: 'decimal', precision: 20, scale: 2 },
    city: { type: 'string', optional: true },
  };

  it('takes larger values from then on; what is stored stays, and rollups that keep it are built anew', async () => {
    await process.registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
    await process.registry.put(TENANT, 'rollup', 'by_size', BY_SIZE);
    const { city: _, ...without } = sale(400, { size: 5_000_000_000, amount: '1234567890123.25' });
    await send([without]);
    expect(await ask(['count'])).toMatchObject([{ count: 60 }]);
    const change = plan(WIDER);
    expect(change.action).toBe('change');
    expect(change.effects).toEqual([
      'makes the field "city" optional (instant)',
      'widens the field "size" from int32 to int64 (instant; stored values stay as they are)',
      'widens the field "amount" from decimal(10,2) to decimal(20,2) (instant; stored values stay as they are)',
      expect.stringMatching(/builds the rollups "by_city", "by_size" anew.*backfill/),
    ]);
    const { run, result } = await put(WIDER);
    expect(run).toMatchObject({
      state: 'done',
      result: { rollups: [{ name: 'by_city' }, { name: 'by_size' }] },
    });
    expect(result.version).toBe(2);
    await send([{ ...without, id: 401 }]);
    expect(await ask(['count', 'max(size)', 'max(amount)'])).toMatchObject([
      { count: 61, 'max(size)': expect.anything(), 'max(amount)': expect.anything() },
    ]);
    expect(await ask(['count'], ['size'], ['size:eq:5000000000'])).toMatchObject([{ count: 1 }]);
    expect(await ask(['count'], ['city'])).toContainEqual(expect.objectContaining({ city: null, count: 1 }));
    await exact('by_city');
    await exact('by_size');
    expect(await rollupTables(world.engine)).toEqual(['rollup_by_city_v2', 'rollup_by_size_v2']);
  });

  it('misses nothing of what comes meanwhile', async () => {
    await process.registry.put(TENANT, 'rollup', 'by_size', BY_SIZE);
    let stop = false;
    let next = 1_000;
    const sending = (async () => {
      while (!stop) {
        await world.append('sales', sales(next, 10));
        next += 10;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const change = await put(WIDER);
    expect(change.run?.state).toBe('done');
    stop = true;
    await sending;
    await send([sale(9_999)]);
    expect(await ask(['count'])).toMatchObject([{ count: 60 + (next - 1_000) + 1 }]);
    await exact('by_size');
    expect(process.failures).toEqual([]);
  });

  it('takes a rollup that is being built along, for the new columns', async () => {
    const building = process.registry.put(TENANT, 'rollup', 'by_size', BY_SIZE).catch((error) => error.code);
    while (process.catalog.builds.open(TENANT).length === 0)
      await new Promise((resolve) => setImmediate(resolve));
    await put(WIDER);
    await building;
    const { state } = (await process.runs.list(TENANT, { limit: 1 }))[0]!;
    expect(state).toBe('done');
    expect(process.catalog.rollup(TENANT, 'by_size')).toBeDefined();
    await send([sale(500, { size: 6_000_000_000 })]);
    await exact('by_size');
  });

  it.each([
    ['a smaller type', { size: 'int32' }, { size: 'int64' }],
    ['other decimals', { amount: { type: 'decimal', precision: 20, scale: 4 } }, {}],
    ['a whole number as a float', { size: 'float64' }, {}],
    ['fewer digits', { amount: { type: 'decimal', precision: 8, scale: 2 } }, {}],
  ])('is refused where values would be lost: %s', async (_, fields, before) => {
    await put({ ...FIELDS, ...before });
    expect(plan({ ...FIELDS, ...fields })).toMatchObject({
      action: 'refused',
      reason: expect.stringContaining('cannot'),
    });
    await expect(put({ ...FIELDS, ...fields })).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('a retired field', () => {
  it('is no longer taken nor asked for by senders; what is stored of it stays', async () => {
    await process.registry.put(TENANT, 'rollup', 'by_size', BY_SIZE);
    const { size: _size, tags: _tags, ...rest } = FIELDS;
    expect(plan(rest).effects).toEqual([
      expect.stringContaining('retires the field "size"'),
      expect.stringContaining('retires the field "tags"'),
      expect.stringContaining('builds the rollup "by_size" anew'),
    ]);
    await put(rest);
    await send([sale(100, { size: 'nonsense', tags: 7 }), sale(101, { size: undefined, tags: undefined })]);
    expect(await ask(['count'])).toMatchObject([{ count: 62 }]);
    expect(await ask(['count'], ['size'], ['size:eq:4'])).toMatchObject([{ size: 4, count: 12 }]);
    await exact('by_size');
    const [newest, , stored] = await events(3);
    expect(newest).not.toHaveProperty('size');
    expect(newest).not.toHaveProperty('tags');
    expect(stored).toMatchObject({ size: 4, tags: ['x'] });
    expect(plan(rest).action).toBe('none');
    // It comes back, as one that events may lack.
    await put({ ...rest, size: { type: 'int32', optional: true } });
    await send([sale(102, { size: 3 })]);
    expect((await events())[0]).toMatchObject({ size: 3 });
    await exact('by_size');
  });

  it('cannot be the id or the time of events', async () => {
    await expect(put({ ...FIELDS, id: { type: 'uint64', retired: true } })).rejects.toMatchObject({
      code: 'bad-definition',
    });
  });
});

describe.each(['before', 'after'] as const)('a crash %s any statement of a change of a stream', (when) => {
  it('leaves the old stream with its rollups or the new one with its own, and every batch finds its place', async () => {
    await process.registry.put(TENANT, 'rollup', 'by_size', BY_SIZE);
    await process.stop();
    let crashes = 0;
    let precision = 10;
    for (let at = 1; ; at += 3) {
      precision += 1;
      const cut = powerCutAt(world.engine, Number.POSITIVE_INFINITY, when);
      const dying = await world.start(cut.over);
      const armed = powerCutAt(world.engine, at, when);
      Object.assign(cut.over, armed.over);
      const fields = {
        ...FIELDS,
        amount: { type: 'decimal', precision, scale: 2 },
        // Every other time a field is added, too.
        ...(at % 2 === 0 ? {} : { size: { type: 'int32' }, [`f${at}`]: { type: 'int32', optional: true } }),
      };
      const done = dying.registry
        .put(TENANT, 'stream', 'sales', { ...SALES, fields })
        .then(() => 'done' as const);
      const end = await world.append('sales', sales(10_000 + at * 10, 5));
      const ended = await Promise.race([done, armed.gone.then(() => 'crashed' as const)]);
      if (ended === 'done') await dying.stop();
      process = await world.start();
      await applied(process, 'sales', end);
      for (const run of await process.runs.list(TENANT, { state: 'running' }))
        await process.runs.wait(TENANT, run.id, 60_000);
      expect(process.catalog.builds.open()).toEqual([]);
      const { version } = process.catalog.rollup(TENANT, 'by_size')!;
      expect(await rollupTables(world.engine), `crash at ${at}`).toEqual([`rollup_by_size_v${version}`]);
      await exact('by_size');
      expect(process.failures).toEqual([]);
      if (ended === 'done') break;
      crashes += 1;
      await process.stop();
    }
    expect(crashes).toBeGreaterThan(5);
    const [row] = (await ask(['count'])) as { count: number }[];
    expect(row!.count).toBe(60 + 5 * (crashes + 1));
  });
});
