import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { CHANNELS, openWorld, START_MS, type World } from './world.ts';

let world: World;
let next = 0;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const HOUR_MS = 3_600_000;
const table = async (document: object = CHANNELS): Promise<string> => {
  next += 1;
  const name = `channels_${next}`;
  await world.define(name, document);
  return name;
};
const countriesOf = async (name: string) =>
  (await world.current(name)).map(({ channel_id, country }) => [channel_id, country]);

describe('rows', () => {
  it('are written, replaced and removed by key; what is the same already writes nothing', async () => {
    const name = await table();
    const rows = [
      { channel_id: 'a', country: 'de', size: 1, price: '1.50', tags: ['x', 'y'] },
      { channel_id: 'b' },
    ];
    expect(await world.upsert(name, rows)).toEqual({ rows: 2, changed: 2 });
    expect(await world.upsert(name, rows)).toEqual({ rows: 2, changed: 0 });
    expect(await world.upsert(name, [rows[0], { channel_id: 'b', size: 0 }])).toEqual({
      rows: 2,
      changed: 1,
    });
    expect(await world.upsert(name, { channel_id: 'b', size: 0 })).toEqual({ rows: 1, changed: 0 });
    expect(await world.current(name)).toMatchObject([
      { channel_id: 'a', country: 'de', size: 1, price: 1.5, tags: ['x', 'y'] },
      { channel_id: 'b', country: null, size: 0, price: null, tags: [] },
    ]);
    expect(await world.remove(name, 'a')).toEqual({ rows: 1, changed: 1 });
    expect(await world.remove(name, 'a')).toEqual({ rows: 1, changed: 0 });
    expect(await world.remove(name, 'nobody')).toEqual({ rows: 1, changed: 0 });
    expect((await world.current(name)).map(({ channel_id }) => channel_id)).toEqual(['b']);
    expect(await world.upsert(name, rows[0])).toEqual({ rows: 1, changed: 1 });
    expect(await countriesOf(name)).toEqual([
      ['a', 'de'],
      ['b', null],
    ]);
  });

  it('of one key in one request: the last one counts', async () => {
    const name = await table();
    const rows = ['de', 'fr', 'us'].map((country) => ({ channel_id: 'a', country }));
    await world.upsert(name, rows);
    expect(await countriesOf(name)).toEqual([['a', 'us']]);
    expect(await world.upsert(name, rows)).toMatchObject({ changed: 0 });
  });

  it('come as NDJSON and CSV alike', async () => {
    const name = await table();
    await world.upsert(
      name,
      '{"channel_id":"a","size":"7"}\n{"channel_id":"b","country":"fr"}\n',
      {},
      'ndjson',
    );
    await world.upsert(name, 'channel_id,size,country\nc,8,\n"d,e",9,us\n', {}, 'csv');
    expect((await world.current(name)).map((row) => [row.channel_id, row.size, row.country])).toEqual([
      ['a', 7, null],
      ['b', null, 'fr'],
      ['c', 8, null],
      ['d,e', 9, 'us'],
    ]);
  });

  it('keep the digits of long integers, and are found by their text', async () => {
    const name = await table({ key: 'id', fields: { id: 'uint64', n: 'int64' } });
    await world.upsert(name, '{"id":18446744073709551615,"n":-9223372036854775808}');
    expect(await world.current(name)).toMatchObject([
      { id: '18446744073709551615', n: '-9223372036854775808' },
    ]);
    expect(await world.remove(name, '18446744073709551615')).toMatchObject({ changed: 1 });
    await expect(world.remove(name, '1.5')).rejects.toMatchObject({ code: 'bad-body' });
  });

  it('that do not fit are all told, and then nothing of the request is taken', async () => {
    const name = await table();
    const bad = [
      { channel_id: 'a' },
      { channel_id: 'b', size: 1.5 },
      { size: 1 },
      { channel_id: 'c', country: 7 },
    ];
    await expect(world.upsert(name, bad)).rejects.toMatchObject({
      code: 'bad-body',
      issues: [
        { path: 'rows.1.size', message: 'must be a whole number of 32 bits' },
        { path: 'rows.2.channel_id', message: 'is missing' },
        { path: 'rows.3.country', message: 'must be a text' },
      ],
    });
    const many = `${'{"channel_id":"x"}\n'.repeat(60_000)}{"channel_id":"b","size":"much"}\n`;
    await expect(world.upsert(name, many, {}, 'ndjson')).rejects.toMatchObject({
      issues: [{ path: 'rows.60000.size', message: 'must be a whole number of 32 bits' }],
    });
    await expect(world.upsert(name, { channel_id: 'a', contry: 'de' })).rejects.toMatchObject({
      issues: [{ path: 'rows.0.contry', message: 'is no field of the table' }],
    });
    await expect(world.upsert(name, { channel_id: '' })).rejects.toMatchObject({ code: 'bad-body' });
    expect(await world.current(name)).toEqual([]);
  });

  it('are bounded', async () => {
    const name = await table();
    const lines = Array.from({ length: 10_001 }, (_, n) => `{"channel_id":"${n}"}`).join('\n');
    await expect(world.upsert(name, lines, {}, 'ndjson')).rejects.toMatchObject({ code: 'limit-exceeded' });
    expect(await world.current(name)).toEqual([]);
  });

  it('that are changed at the same time are changed one after another', async () => {
    const name = await table();
    await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        world.upsert(name, [{ channel_id: 'a', size: n }, { channel_id: `b${n}` }]),
      ),
    );
    const rows = await world.current(name);
    expect(rows.length).toBe(9);
    expect(rows[0]).toMatchObject({ channel_id: 'a', size: expect.any(Number) });
  });
});

describe('versions', () => {
  it('are valid from a moment on, whatever the order in which they come', async () => {
    const name = await table();
    const at = (hours: number) => ({ validFromMs: START_MS - hours * HOUR_MS });
    await world.upsert(name, { channel_id: 'a', country: 'now' });
    await world.upsert(name, { channel_id: 'a', country: 'old' }, at(10));
    await world.upsert(name, { channel_id: 'a', country: 'middle' }, at(5));
    // In force at that moment already.
    expect(await world.upsert(name, { channel_id: 'a', country: 'middle' }, at(4))).toMatchObject({
      changed: 0,
    });
    await world.remove(name, 'a', at(2));
    expect(await countriesOf(name)).toEqual([['a', 'now']]);
    const history = (await world.history(name)).map((row) => [row.country, row._valid_from, row._valid_to]);
    expect(history).toEqual([
      ['old', '2025-01-09T14:00:00.000Z', '2025-01-09T19:00:00.000Z'],
      ['middle', '2025-01-09T19:00:00.000Z', '2025-01-09T22:00:00.000Z'],
      ['now', '2025-01-10T00:00:00.000Z', null],
    ]);
    await world.upsert(name, { channel_id: 'a', country: 'other' }, at(10));
    expect((await world.history(name))[0]).toMatchObject({ country: 'other' });
    expect(await countriesOf(name)).toEqual([['a', 'now']]);
  });

  it('may be told row by row', async () => {
    const name = await table();
    const rows = [
      { channel_id: 'a', country: 'de', _valid_from: '2024-01-01' },
      { channel_id: 'a', country: 'fr', _valid_from: '2024-06-01' },
    ];
    expect(await world.upsert(name, rows)).toEqual({ rows: 2, changed: 2 });
    expect(await world.upsert(name, rows)).toEqual({ rows: 2, changed: 0 });
    expect(await countriesOf(name)).toEqual([['a', 'fr']]);
    await expect(
      world.upsert(name, { channel_id: 'a', country: 'us', _valid_from: '2025-02-01' }),
    ).rejects.toMatchObject({
      issues: [{ path: 'rows.0._valid_from', message: 'must not lie in the future' }],
    });
  });

  it('follow one another when the clock is set back', async () => {
    const name = await table();
    await world.upsert(name, { channel_id: 'a', country: 'first' });
    world.clock.advance(-HOUR_MS);
    await world.upsert(name, { channel_id: 'a', country: 'second' });
    world.clock.advance(HOUR_MS);
    expect(await countriesOf(name)).toEqual([['a', 'second']]);
  });

  it('are not kept by a table without history, and cannot begin in the future', async () => {
    const name = await table({ ...CHANNELS, history: false });
    await world.upsert(name, { channel_id: 'a', country: 'first' });
    world.clock.advance(1_000);
    await world.upsert(name, { channel_id: 'a', country: 'second' });
    expect((await world.history(name)).map(({ country }) => country)).toEqual(['second']);
    await expect(world.upsert(name, { channel_id: 'a' }, { validFromMs: 0 })).rejects.toMatchObject({
      code: 'bad-request',
    });
    const kept = await table();
    await expect(
      world.upsert(kept, { channel_id: 'a' }, { validFromMs: world.clock.now() + 1 }),
    ).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('are numbered on after a restart', async () => {
    const name = await table({ ...CHANNELS, history: false });
    await world.upsert(name, { channel_id: 'a', country: 'first' });
    world.restart();
    await world.upsert(name, { channel_id: 'a', country: 'second' });
    expect(await countriesOf(name)).toEqual([['a', 'second']]);
  });
});

describe('a definition', () => {
  it('gains and loses fields; one that comes again begins empty', async () => {
    const name = await table();
    await world.upsert(name, { channel_id: 'a', country: 'de', size: 1 });
    const { country, ...fields } = CHANNELS.fields;
    await world.define(name, { ...CHANNELS, fields: { ...fields, colour: 'string' } });
    expect(await world.current(name)).toMatchObject([{ channel_id: 'a', size: 1, colour: null }]);
    await world.upsert(name, { channel_id: 'a', size: 1, colour: 'red' });
    await world.define(name, {
      ...CHANNELS,
      fields: { ...fields, country: { type: 'int32', optional: true } },
    });
    expect(await world.current(name)).toMatchObject([{ channel_id: 'a', size: 1, country: null }]);
  });

  it('keeps its key, its history and the types of its fields', async () => {
    const name = await table();
    const refused = (document: object) =>
      expect(world.define(name, document)).rejects.toMatchObject({ code: 'conflict' });
    await refused({ ...CHANNELS, history: false });
    await refused({ ...CHANNELS, fields: { ...CHANNELS.fields, size: 'string' } });
    await refused({ ...CHANNELS, key: 'id', fields: { ...CHANNELS.fields, id: 'string' } });
  });

  it('that was removed and made again begins empty', async () => {
    const name = await table();
    await world.upsert(name, { channel_id: 'a' });
    const { definition } = world.tables.definition(DEFAULT_TENANT, name)!;
    await world.catalog.remove(DEFAULT_TENANT, 'table', name);
    await world.tables.hooks.removed!(DEFAULT_TENANT, definition);
    await expect(world.upsert(name, { channel_id: 'a' })).rejects.toMatchObject({ code: 'unknown-table' });
    await world.define(name, CHANNELS);
    expect(await world.current(name)).toEqual([]);
  });
});

describe('contents', () => {
  it('are told as another whenever rows may have changed, and not at all while they change', async () => {
    const name = await table();
    const contents = () => world.tables.contents(DEFAULT_TENANT, name);
    const before = contents();
    const change = world.upsert(name, { channel_id: 'a' });
    await world.engine.rows({ text: 'SELECT 1 AS one' });
    const during = contents();
    await change;
    expect(during === undefined || during === before).toBe(true);
    expect(contents()).not.toBe(before);
    const settled = contents();
    await world.upsert(name, { nothing: 1 }).catch(() => undefined);
    expect(contents()).toBeDefined();
    expect(settled).toBeDefined();
  });
});
