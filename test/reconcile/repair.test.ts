import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setEventsCompleteSince } from '../../src/catalog/port.ts';
import { eventsFrom, ROLLUPS, STREAM, TENANT, World } from './world.ts';

const HOUR_MS = 3_600_000;

let world: World;
let rows: string;
let totals: readonly object[];
beforeAll(async () => {
  world = await World.make();
  await world.define(STREAM, ROLLUPS);
  for (let round = 0; round < 4; round += 1) {
    const events = eventsFrom(round * 40, 40, world.clock.now());
    await world.send([...events, ...events.slice(0, 7), 'nonsense'], round % 2);
    world.clock.atMs += 10 * HOUR_MS;
  }
  rows = await world.rows();
  totals = [world.totals(0), world.totals(1)];
}, 60_000);
afterAll(() => world.end());

/** Finds what is expected, tells why, repairs it, and everything is as it was before the damage. */
async function foundAndRepaired(counts: object, why: RegExp): Promise<void> {
  const found = await world.reconcile();
  expect(found.balanced).toBe(false);
  expect(found.before.counts).toMatchObject(counts);
  expect(found.before.differences.map((one) => one.why).join('\n')).toMatch(why);
  expect(world.told.at(-1)).toMatchObject({ repair: 'millrace reconcile s --repair' });
  const repaired = await world.reconcile({ repair: true });
  expect(repaired.after?.differences).toEqual([]);
  expect(repaired).toMatchObject({ balanced: true, before: { counts }, after: { counts: {} } });
  expect(repaired.repairs.every(({ done }) => done)).toBe(true);
  expect(await world.rows()).toBe(rows);
  expect([world.totals(0), world.totals(1)]).toEqual(totals);
  expect(await world.leftovers()).toEqual([]);
}

describe('damage is found, explained and repaired', { timeout: 60_000 }, () => {
  it('a part of the events that was dropped', async () => {
    const [part] = await world.partsOf(world.events);
    await world.dropPart(world.events);
    await foundAndRepaired({ missing: part!.rows }, /lost a part.*the rollups still count \d+ events more/);
  });

  it('a part of the quarantine, a part of what was discarded', async () => {
    await world.dropPart(world.quarantine);
    await world.dropPart(world.discarded);
    await foundAndRepaired({ missing: expect.any(Number) }, /in no table/);
  });

  it('a part of a rollup', async () => {
    await world.dropPart(world.rollup('by_kind'));
    await foundAndRepaired(
      { rollup: expect.any(Number) },
      /the rollup has less than the events: it lost a part/,
    );
  });

  it('rows that are there twice', async () => {
    await world.do(
      `INSERT INTO ${world.events} SELECT * FROM ${world.events} WHERE _partition = 0 AND _offset < 20 AND toYYYYMMDD(_received) = 20240501`,
    );
    await foundAndRepaired({ doubled: expect.any(Number) }, /a part was attached twice/);
  });

  it('a record in two tables', async () => {
    await world.do(
      `INSERT INTO ${world.discarded} (_partition, _offset, _received, _time, _id, _id_hash, why, line) SELECT _partition, _offset, _received, _time, _id, _id_hash, 'duplicate', '' FROM ${world.events} WHERE _partition = 0 AND _offset IN (1, 2, 5)`,
    );
    await foundAndRepaired({ doubled: 3 }, /is in events and discarded/);
  });

  it('a batch that a rollup counted twice', async () => {
    const rollup = world.rollup('plain');
    await world.do(
      `INSERT INTO ${rollup} SELECT * FROM ${rollup} WHERE _tier > 0 AND _bucket < ${Date.UTC(2024, 4, 1, 20) / 1_000} AND _tier = 3600`,
    );
    await foundAndRepaired(
      { rollup: 2 },
      /the rollup has more than the events, and every offset is there once: it counted a batch twice/,
    );
  });

  it('a state that was changed though the count is right', async () => {
    const rollup = world.rollup('plain');
    await world.do(
      `ALTER TABLE ${rollup} UPDATE \`sum.n\` = \`sum.n\` + 1 WHERE _tier = 86400 SETTINGS mutations_sync = 2`,
    );
    await foundAndRepaired({ rollup: expect.any(Number) }, /counts the same events but says something else/);
  });

  it('rows that no log knows', async () => {
    await world.do(
      `INSERT INTO ${world.quarantine} SELECT * REPLACE (900 AS _offset) FROM ${world.quarantine} LIMIT 1`,
    );
    await world.do(
      `INSERT INTO ${world.events} SELECT * REPLACE (7 AS _partition) FROM ${world.events} WHERE _offset = 3 LIMIT 1`,
    );
    await foundAndRepaired({ stray: 2 }, /the log has never given out/);
  });

  it('values that were changed, when contents are compared', async () => {
    await world.do(
      `ALTER TABLE ${world.events} UPDATE n = n + 1 WHERE _partition = 1 AND _offset IN (4, 5) SETTINGS mutations_sync = 2`,
    );
    await world.do(
      `ALTER TABLE ${world.quarantine} UPDATE line = 'other' WHERE _partition = 0 AND _offset = 47 SETTINGS mutations_sync = 2`,
    );
    const found = await world.reconcile({ deep: true });
    expect(found.before.counts).toMatchObject({ content: 3 });
    expect(found.before.differences.find((one) => one.kind === 'content')?.why).toMatch(
      /changed by hand or on disk/,
    );
    expect(await world.reconcile({ deep: true, repair: true })).toMatchObject({ balanced: true });
    expect(await world.rows()).toBe(rows);
  });

  for (const table of ['events', 'by_kind'] as const) {
    it(`a flipped bit in a part of ${table}`, async () => {
      const name = table === 'events' ? world.events : world.rollup(table);
      await world.flipBit(name);
      await foundAndRepaired({ 'unreadable-part': 1 }, /are damaged: .*Code: 40|are damaged/);
    });
  }

  it('a part that the engine set aside at its start', async () => {
    await world.flipBit(world.events, 'checksums.txt');
    await foundAndRepaired({ missing: expect.any(Number) }, /set aside \(broken-on-start\)/);
  });

  it('a part whose directory is gone', async () => {
    await world.removePartDirectory(world.events);
    await foundAndRepaired({ missing: expect.any(Number) }, /in no table/);
  });

  it('only the rollups that are named', async () => {
    await world.dropPart(world.rollup('by_kind'));
    expect(await world.reconcile({ rollups: ['plain'] })).toMatchObject({ balanced: true });
    expect(await world.reconcile({ rollups: ['by_kind'], repair: true })).toMatchObject({ balanced: true });
    await expect(world.reconciler.start(TENANT, 's', { rollups: ['none'] })).rejects.toThrow(/has no rollup/);
    await expect(world.reconciler.start(TENANT, 'none', {})).rejects.toThrow(/no stream/);
  });

  it('the newest report is told', async () => {
    expect((await world.reconciler.newest(TENANT, 's'))?.report).toMatchObject({
      stream: 's',
      balanced: true,
    });
    expect(await world.reconciler.newest(TENANT, 'other')).toBeUndefined();
  });

  it('a duplicate that came beyond the horizon', async () => {
    world.clock.atMs += 80 * HOUR_MS;
    const before = await world.count(world.events);
    await world.send(eventsFrom(0, 3, world.clock.now()));
    expect(await world.count(world.events)).toBe(before + 3);
    const found = await world.reconcile();
    expect(found.before.counts).toEqual({ 'id-twice': 3 });
    expect(found.before.differences[0]).toMatchObject({ id: expect.stringMatching(/^e\d$/) });
    expect(found.before.differences[0]!.why).toBe(
      'the same id was stored again 5 days later, beyond the horizon of 60 minutes',
    );
    const repaired = await world.reconcile({ repair: true });
    expect(repaired).toMatchObject({ balanced: true, after: { counts: {} } });
    expect(await world.count(world.events)).toBe(before);
    expect(await world.count(world.discarded, `toYYYYMMDD(_received) > 20240504`)).toBe(3);
    const { stored, duplicates } = totals[0] as { stored: number; duplicates: number };
    expect(world.totals(0)).toMatchObject({ stored, duplicates: duplicates + 3 });
  });

  it('buckets of forgotten time are said to be unverifiable, never right', async () => {
    const since = Date.UTC(2024, 4, 1, 18);
    await setEventsCompleteSince(world.catalog, TENANT, world.name, since);
    await world.do(
      `ALTER TABLE ${world.rollup('plain')} DELETE WHERE _tier = 3600 AND _bucket < ${since / 1_000} - 3600 SETTINGS mutations_sync = 2`,
    );
    const report = await world.reconcile({ repair: true });
    expect(report).toMatchObject({ balanced: true });
    expect(report.before.unverifiable).toContainEqual(
      expect.objectContaining({
        where: 'by_kind',
        tier: 86_400,
        buckets: 1,
        why: expect.stringMatching(/retention has dropped/),
      }),
    );
  });
});
