import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseStream } from '../../src/define/index.ts';
import { eventsFrom, ROLLUPS, STREAM, TENANT, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.make();
});
afterEach(() => world.end());

const HOUR_MS = 3_600_000;

describe('what is missing', { timeout: 60_000 }, () => {
  it('is refused with its offsets when the log has forgotten it, and the rollups keep what they know', async () => {
    await world.define({ ...STREAM, partitions: 1 }, { plain: ROLLUPS.plain });
    for (let round = 0; round < 3; round += 1) {
      await world.send(eventsFrom(round * 100, 100, world.clock.now()));
      world.clock.atMs += 24 * HOUR_MS;
    }
    const { applied } = world.ingest.state(world.key());
    await world.log.retain(world.key(), { beforeMs: world.clock.now() - 30 * HOUR_MS, appliedTo: applied });
    const { start } = world.log.state(world.key());
    expect(start).toBeGreaterThan(100);
    const before = await world.count(world.events);
    const kept = await world.ask(`SELECT sum(_count) AS n FROM ${world.rollup('plain')} WHERE _tier = 3600`);
    // The first day is forgotten by the log; the third is not.
    for (const day of [20240501, 20240503])
      await world.do(`ALTER TABLE ${world.events} DROP PARTITION ${day}`);
    const { repairs, balanced, after } = await world.reconcile({ repair: true });
    expect(balanced).toBe(false);
    const lost = repairs.find(({ kind, done }) => kind === 'missing' && !done)!;
    expect(lost.words).toMatch(
      new RegExp(
        `^\\d+ records of partition 0 are lost: the log has forgotten them \\(it begins at offset ${start}\\)\\. Offsets 0 to 9, 11 to 20, `,
      ),
    );
    expect(repairs.find(({ kind }) => kind === 'rollup')?.words).toMatch(/left as they are/);
    expect(after!.counts.missing).toBe(before - (await world.count(world.events)));
    expect(
      await world.count(world.events, "_received >= toDateTime64('2024-05-03 00:00:00', 3)"),
    ).toBeGreaterThan(80);
    expect(
      await world.ask(`SELECT sum(_count) AS n FROM ${world.rollup('plain')} WHERE _tier = 3600`),
    ).toEqual(kept);
    expect(await world.leftovers()).toEqual([]);
    // A part that cannot be read stays where it is, when what it holds could not be made again.
    const [part] = await world.partsOf(world.quarantine);
    await world.flipBit(world.quarantine);
    const again = await world.reconcile({ repair: true });
    expect(again.repairs.find(({ kind }) => kind === 'unreadable-part')).toMatchObject({
      done: false,
      words: expect.stringContaining(`${part!.name} stays where it is`),
    });
    expect((await world.partsOf(world.quarantine)).map(({ name }) => name)).toContain(part!.name);
  });

  it('goes back to quarantine when a copy of it was replayed: the copy counts', async () => {
    await world.define({ ...STREAM, partitions: 1 }, { plain: ROLLUPS.plain });
    const at = world.clock.now();
    const good = { id: 'x', kind: 'a', n: 1, at };
    await world.send([
      { ...good, id: 'y', colour: 3 },
      { ...good, n: 'bad' },
      { ...good, id: 'z', kind: 'd' },
    ]);
    // What was wrong with the third is right under a wider definition; its copy was taken in.
    const wider = structuredClone(STREAM) as { fields: { kind: { values: string[] } } };
    wider.fields.kind.values.push('d');
    await world.catalog.put(TENANT, parseStream(world.name, { ...wider, partitions: 1 }));
    await world.do(`INSERT INTO ${world.replayed} VALUES (0, 1, 'run', 0, 3), (0, 2, 'run', 0, 4)`);
    await world.send([good, { ...good, id: 'z', kind: 'd' }], 0, true);
    expect(await world.count(world.events)).toBe(3);
    await world.do(`TRUNCATE TABLE ${world.quarantine}`);
    await world.do(`ALTER TABLE ${world.events} DELETE WHERE _offset = 4 SETTINGS mutations_sync = 2`);
    expect(await world.reconcile({ repair: true })).toMatchObject({
      balanced: true,
      before: { counts: { missing: 3 } },
    });
    expect(
      await world.ask(`SELECT _offset, reason, line FROM ${world.quarantine} ORDER BY _offset`),
    ).toMatchObject([
      { _offset: '1', reason: 'must be a whole number of 64 bits' },
      {
        _offset: '2',
        reason: 'was quarantined, and a copy of it was replayed',
        line: JSON.stringify({ ...good, id: 'z', kind: 'd' }),
      },
    ]);
    expect(
      (await world.ask(`SELECT _offset FROM ${world.events} ORDER BY _offset`)).map((row) => row._offset),
    ).toEqual(['0', '3', '4']);
  });

  it('is judged late by what stands before it, and a duplicate by what stands anywhere', async () => {
    await world.define({ ...STREAM, partitions: 1, lateness: { allowed: '1h', then: 'drop' } });
    const at = world.clock.now();
    const event = (id: string, back = 0) => ({ id, kind: 'a', n: 1, at: at - back * HOUR_MS });
    await world.send([
      event('a', 5),
      event('b', 1),
      event('c', 3),
      event('d', 0.5),
      event('a'),
      event('e', 1.2),
      event('d'),
    ]);
    await world.send([event('f', 0), event('g', 2)]);
    const rows = await world.rows();
    expect(await world.count(world.discarded, "why = 'late'")).toBe(2);
    expect(await world.count(world.discarded, "why = 'duplicate'")).toBe(2);
    const totals = world.totals();
    for (const offsets of ['1, 2, 4, 8', '3, 6', '0, 1, 2, 3, 4, 5, 6, 7, 8', '0, 4']) {
      for (const table of [world.events, world.discarded])
        await world.do(
          `ALTER TABLE ${table} DELETE WHERE _offset IN (${offsets}) SETTINGS mutations_sync = 2`,
        );
      expect(await world.reconcile({ repair: true })).toMatchObject({ balanced: true });
      expect(await world.rows()).toBe(rows);
      expect(world.totals()).toEqual(totals);
    }
  });

  it('is remembered again once it is back: the same id is a duplicate', async () => {
    await world.define({ ...STREAM, partitions: 1 });
    await world.send(eventsFrom(0, 5, world.clock.now()));
    await world.do(`TRUNCATE TABLE ${world.events}`);
    await world.close();
    await world.open();
    // Nobody remembers the ids: these are stored.
    await world.send(eventsFrom(0, 2, world.clock.now()));
    expect(await world.reconcile({ repair: true })).toMatchObject({ balanced: true });
    await world.send(eventsFrom(0, 5, world.clock.now()));
    expect(await world.count(world.events)).toBe(5);
    expect(await world.reconcile()).toMatchObject({ balanced: true });
  });

  it('comes back though ingest cannot go on: it waits for ids in a part that cannot be read', async () => {
    await world.define({ ...STREAM, partitions: 1 }, { plain: ROLLUPS.plain });
    await world.send(eventsFrom(0, 50, world.clock.now()));
    const stored = await world.count(world.events);
    await world.flipBit(world.events, 'data.bin', 200);
    const sent = world.send(eventsFrom(0, 50, world.clock.now()));
    const report = await world.reconcile({ repair: true });
    expect(report).toMatchObject({ balanced: true, before: { counts: { 'unreadable-part': 1 } } });
    await sent;
    // Whichever of two arrivals was decided first: each id is stored once.
    expect(await world.count(world.events)).toBe(stored);
    expect(await world.reconcile()).toMatchObject({ balanced: true });
  });

  it('is found while events flow, and so is everything else', async () => {
    await world.define(STREAM, ROLLUPS);
    await world.send(eventsFrom(0, 100, world.clock.now()));
    await world.send(eventsFrom(100, 100, world.clock.now()), 1);
    let flows = true;
    const flow = (async () => {
      for (let round = 1; flows; round += 1)
        await world.send(eventsFrom(round * 200, 20, world.clock.now()), round % 2);
    })();
    try {
      await world.do(`ALTER TABLE ${world.events} DELETE WHERE _offset < 30 SETTINGS mutations_sync = 2`);
      await world.do(
        `INSERT INTO ${world.rollup('plain')} SELECT * FROM ${world.rollup('plain')} WHERE _tier > 0`,
      );
      expect(await world.reconcile({ repair: true })).toMatchObject({
        balanced: true,
        before: { counts: { missing: expect.any(Number), rollup: expect.any(Number) } },
      });
    } finally {
      flows = false;
      await flow;
    }
    expect(await world.reconcile({ deep: true })).toMatchObject({ balanced: true });
  });
});
