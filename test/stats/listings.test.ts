import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { membersOf } from '../../src/stats/event-json.ts';
import { createEvents, createQuarantine } from '../../src/stats/index.ts';
import { eventsTable, quarantineTable } from '../../src/store/index.ts';
import { visit, World } from './fixture.ts';

let world: World;
const T0 = Date.parse('2024-01-01T00:00:00Z');

beforeAll(async () => {
  world = await World.open();
  await world.insert([
    ...Array.from({ length: 25 }, (_, index) =>
      visit({ id: BigInt(index), atMs: T0 + Math.floor(index / 5) * 1_000, partition: index % 2 }),
    ),
    visit({
      id: 18_446_744_073_709_551_615n,
      atMs: T0 + 60_000,
      kind: 'a',
      city: 'say "hi"\n',
      size: -(2n ** 63n),
      big: 9_007_199_254_740_993n,
      price: 12_300n,
      score: 4,
      addr: '10.0.0.1',
      seenMs: T0,
      note: '{"n": 123456789012345678901, "deep": [1, {"x": 2}]}',
      tags: ['a', 'b"c'],
      extra: '{"more":12345678901234567890123, "kind":"x", "se\\"en":{"a":[1,2,"}"]}}',
    }),
  ]);
  await world.engine.execute({
    text: `INSERT INTO ${quarantineTable(world.tenant, 'visits')} (_partition, _offset, _received, reason, field, line) SELECT 0, number, toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + intDiv(number, 4), if(number % 3 = 0, 'wrong type', 'missing'), if(number % 2 = 0, 'size', 'city'), concat('{"n":', toString(number), '}', char(255)) FROM numbers(30)`,
  });
});

afterAll(() => world.close());

const events = () => createEvents({ engine: world.engine, catalog: world.catalog(), clock: world.clock });
const quarantine = () =>
  createQuarantine({ engine: world.engine, catalog: world.catalog(), clock: world.clock });

describe('events', () => {
  it('come with every digit, in the order of the stream, the extra fields after the declared ones', async () => {
    const { eventsJson, count } = await events().list(world.tenant, 'visits', { limit: 1 });
    expect(count).toBe(1);
    expect(eventsJson).toBe(
      '[{"id":18446744073709551615,"at":"2024-01-01T00:01:00.000Z","kind":"a","city":"say \\"hi\\"\\n","size":-9223372036854775808,"big":9007199254740993,"small":0,"price":1.23,"score":0.5,"ok":true,"addr":"10.0.0.1","seen":"2024-01-01T00:00:00.000Z","note":{"n": 123456789012345678901, "deep": [1, {"x": 2}]},"tags":["a","b\\"c"],"more":12345678901234567890123,"se\\"en":{"a":[1,2,"}"]},"_id":"18446744073709551615","_time":"2024-01-01T00:01:00.000Z","_received":"2024-12-01T00:00:00.025Z","_partition":0,"_offset":25}]',
    );
  });

  it('are listed newest first, each once, page by page', async () => {
    const offsets: number[] = [];
    let cursor: string | null | undefined;
    let pages = 0;
    do {
      const page = await events().list(world.tenant, 'visits', { limit: 4, ...(cursor ? { cursor } : {}) });
      offsets.push(...(JSON.parse(page.eventsJson) as { _offset: number }[]).map((one) => one._offset));
      cursor = page.next;
      pages += 1;
    } while (cursor);
    expect(pages).toBe(7);
    expect(offsets[0]).toBe(25);
    expect(offsets.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 26 }, (_, index) => index));
  });

  it('are filtered by time, by field and by id', async () => {
    const list = async (request: object) => (await events().list(world.tenant, 'visits', request)).count;
    expect(await list({ from: '2024-01-01T00:00:01Z', to: '2024-01-01T00:00:03Z' })).toBe(10);
    expect(await list({ where: ['id:lt:7'] })).toBe(7);
    expect(await list({ where: ['_id:eq:7'] })).toBe(1);
  });

  it('refuse what they do not understand, all at once', async () => {
    await expect(
      events().list(world.tenant, 'visits', { limit: 0, cursor: 'x', from: 'y', where: ['z'] }),
    ).rejects.toMatchObject({
      code: 'bad-question',
      issues: [{ path: 'limit' }, { path: 'cursor' }, { path: 'from' }, { path: 'where' }],
    });
  });

  it('are followed along a partition of the log', async () => {
    const tail = await events().since(world.tenant, 'visits', 1, 5, 3);
    expect(tail.map((one) => one.offset)).toEqual([5, 7, 9]);
    expect(await events().since(world.tenant, 'visits', 0, 25, 1_000)).toHaveLength(1);
    expect(await events().since(world.tenant, 'visits', 0, 26, 1_000)).toEqual([]);
    await world.engine.execute({
      text: `INSERT INTO ${eventsTable(world.tenant, 'visits')} (id, city, note, _received, _partition, _offset) SELECT number, 'far', repeat('[[]]', 500000), toDateTime64('2024-01-01 00:00:00', 3, 'UTC'), 2, 1000000 + number FROM numbers(50)`,
    });
    const far = await events().since(world.tenant, 'visits', 2, 3, 2);
    expect(far.map((one) => one.offset)).toEqual([1_000_000, 1_000_001]);
    // 50 events of 2 MB do not fit into one answer; the tail gets past them all the same.
    const some = await events().since(world.tenant, 'visits', 2, 3, 50);
    expect(some.map((one) => one.offset)).toEqual(
      Array.from({ length: 25 }, (_, index) => 1_000_000 + index),
    );
    await expect(events().list(world.tenant, 'visits', { where: ['city:eq:far'] })).rejects.toMatchObject({
      code: 'bad-question',
      issues: [{ path: 'limit' }],
    });
    expect(JSON.parse(tail[0]!.json)).toMatchObject({ id: 5, _offset: 5, _partition: 1 });
  });

  it('of a range that pass conditions are found page by page, also where they are very large', async () => {
    const pages = async (partition: number, from: number, to: number, where: string[], limit: number) => {
      const found: [readonly number[], number][] = [];
      for (let at = from; at < to; at = found.at(-1)![1]) {
        const range = { partition, from: at, to };
        const page = await events().matching(world.tenant, 'visits', range, where, limit);
        found.push([page.events.map((one) => one.offset), page.upTo]);
      }
      return found;
    };
    expect(await pages(1, 0, 26, ['id:gte:8'], 3)).toEqual([
      [[9, 11, 13], 14],
      [[15, 17, 19], 20],
      [[21, 23], 26],
    ]);
    expect(await pages(1, 0, 26, ['city:eq:nowhere'], 3)).toEqual([[[], 26]]);
    const [first] = (
      await events().matching(world.tenant, 'visits', { partition: 1, from: 9, to: 10 }, [], 1)
    ).events;
    expect(JSON.parse(first!.json)).toMatchObject({ id: 9, _id: '9', _partition: 1, _offset: 9 });
    expect(await pages(2, 850_000, 950_000, ['city:eq:far'], 50)).toEqual([[[], 950_000]]);
    const range = { partition: 2, from: 900_001, to: 1_000_050 };
    const large = await events().matching(world.tenant, 'visits', range, ['city:eq:far'], 50);
    // One that lies a hundred thousand further is for the next page.
    expect([large.events.map((one) => one.offset), large.upTo]).toEqual([[1_000_000], 1_000_001]);
  });
});

describe('the members of a JSON object', () => {
  it('are found as they are written', () => {
    expect([...membersOf('')]).toEqual([]);
    expect([...membersOf('{}')]).toEqual([]);
    expect([...membersOf(' { "a" : 1.50 , "b\\u0041":"},{\\"" ,"c":[{"d":1},2]} ')]).toEqual([
      ['"a"', '1.50'],
      ['"bA"', '"},{\\""'],
      ['"c"', '[{"d":1},2]'],
    ]);
  });
});

describe('the quarantine', () => {
  it('lists records newest first, each once, with what each reason counts', async () => {
    const offsets: number[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await quarantine().list(world.tenant, 'visits', {
        limit: 7,
        ...(cursor ? { cursor } : {}),
      });
      expect(page.reasons).toEqual([
        { reason: 'missing', count: 20 },
        { reason: 'wrong type', count: 10 },
      ]);
      offsets.push(...page.records.map((one) => one.offset));
      cursor = page.next;
    } while (cursor);
    expect(offsets).toEqual(Array.from({ length: 30 }, (_, index) => 29 - index));
  });

  it('is filtered by reason, field and time', async () => {
    const page = await quarantine().list(world.tenant, 'visits', {
      reason: 'wrong type',
      field: 'size',
      from: '2024-01-01T00:00:01Z',
    });
    expect(page.records.map((one) => one.offset)).toEqual([24, 18, 12, 6]);
    expect(page.reasons).toEqual([{ reason: 'wrong type', count: 4 }]);
    expect(page.records[0]).toEqual({
      partition: 0,
      offset: 24,
      received: '2024-01-01T00:00:06.000Z',
      reason: 'wrong type',
      field: 'size',
      line: '{"n":24}\ufffd',
      replayed: false,
    });
  });
});
