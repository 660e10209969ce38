import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDuplicates } from '../../src/stats/index.ts';
import { eventsTable } from '../../src/store/index.ts';
import { MINUTE, STREAM, T0, TENANT, World } from '../ledger/world.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
  const stored = { partition: 0, outcome: 'stored' } as const;
  const copy = { partition: 0, outcome: 'duplicate' } as const;
  await world.insert([
    ...Array.from({ length: 10 }, (_, n) => ({
      ...stored,
      offset: n,
      receivedMs: T0 + n,
      id: `id-${n}`,
      timeMs: T0 - n,
    })),
    // Twice the same event time, then one that was given another.
    ...Array.from({ length: 9 }, (_, n) => ({
      ...copy,
      offset: 10 + n,
      receivedMs: T0 + MINUTE + n,
      id: `id-${n}`,
      timeMs: n === 4 ? T0 : T0 - n,
    })),
    { ...copy, offset: 30, receivedMs: T0 + MINUTE + 30, id: 'nobody' },
    { ...copy, offset: 31, receivedMs: T0 + MINUTE + 31, outcome: 'late', id: 'id-1' },
    // Stored once more after the horizon: the copies that came before belong to the first.
    { ...stored, offset: 40, receivedMs: T0 + 2 * MINUTE, id: 'id-3', timeMs: T0 - 3 },
  ]);
});
afterAll(() => world.close());

const list = (request: object = {}) =>
  createDuplicates({ engine: world.engine, catalog: world.catalog, clock: world.clock }).list(
    TENANT,
    STREAM,
    request,
  );

describe('duplicates', () => {
  it('are listed newest first, each once, with the arrival that was counted', async () => {
    const seen: number[] = [];
    let cursor: string | null = null;
    do {
      const page = await list({ limit: 4, ...(cursor ? { cursor } : {}) });
      expect(page.count).toBe(10);
      for (const one of page.records) {
        seen.push(one.offset);
        if (one.id === 'nobody') {
          expect(one).toMatchObject({ first: null, firstUnknown: expect.stringContaining('retention') });
        } else {
          const n = Number(one.id.slice(3));
          expect(one.first).toEqual({ partition: 0, offset: n, received: new Date(T0 + n).toISOString() });
        }
      }
      cursor = page.next;
    } while (cursor);
    expect(seen).toEqual([30, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
  });

  it('are listed for a time of arrival', async () => {
    const page = await list({
      from: new Date(T0 + MINUTE + 2).toISOString(),
      to: new Date(T0 + MINUTE + 4).toISOString(),
    });
    expect(page).toMatchObject({ count: 2, records: [{ offset: 13 }, { offset: 12 }], next: null });
    await expect(list({ from: 'x', limit: 0 })).rejects.toMatchObject({
      issues: [{ path: 'limit' }, { path: 'from' }],
    });
  });

  it('with the same event time are found by the key of the table, without a scan', async () => {
    const plan = await world.engine.rows<{ explain: string }>({
      text: `EXPLAIN indexes = 1 SELECT _offset FROM ${eventsTable(TENANT, STREAM)} WHERE _time IN (SELECT fromUnixTimestamp64Milli(arrayJoin({times:Array(Int64)}), 'UTC'))`,
      params: { times: [T0] },
    });
    expect(plan.map((row) => row.explain).join('\n')).toMatch(
      /PrimaryKey[\s\S]*_time[\s\S]*Condition: \(_time in/,
    );
  });
});
