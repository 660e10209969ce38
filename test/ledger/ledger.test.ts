import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sealedTo, unseal } from '../../src/catalog/index.ts';
import { keyOf, MINUTE, type Outcome, type Row, STREAM, T0, TENANT, World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());
beforeEach(() => world.begin());

const rowsOf = async () => await world.catalog.ledger.rows(TENANT, STREAM);
const errors = () => world.told.filter(({ level }) => level === 'error').map(({ details }) => details);
const ask = (request: object = {}) => world.ledger.ask(TENANT, STREAM, request);

describe('the ledger', () => {
  it('says for each minute what arrived and what became of it', async () => {
    const first = await world.arrive(0, 4);
    world.clock.advance(MINUTE);
    const second = await world.arrive(1, 3);
    const outcomes: Outcome[] = ['stored', 'duplicate', 'quarantined', 'late'];
    await world.insert(first.map((row, index) => ({ ...row, outcome: outcomes[index]! })));
    await world.insert(second.slice(0, 1));
    world.applied = [4, 1];
    const answer = await ask();
    expect(answer.rows).toEqual([
      {
        ...{ startMs: T0, accepted: 4, stored: 1, duplicates: 1, quarantined: 1, lateDropped: 1 },
        ...{ pending: 0, missing: 0, extra: 0, balanced: true, sealed: false, source: 'store' },
      },
      {
        ...{ startMs: T0 + MINUTE, accepted: 3, stored: 1, duplicates: 0, quarantined: 0, lateDropped: 0 },
        ...{ pending: 2, missing: 0, extra: 0, balanced: true, sealed: false, source: 'store' },
      },
    ]);
    expect(answer).toMatchObject({
      balanced: true,
      checkedToMs: undefined,
      next: null,
      totals: { accepted: 7 },
    });
    await world.insert([{ ...second[1]!, outcome: 'stored' }]);
    expect((await ask()).balanced, 'rows of the batch under way are not looked at').toBe(true);
  });

  it('seals a minute when it is over and applied, and not before', async () => {
    await world.insert(await world.arrive(0, 5));
    world.applyAll();
    await world.settle();
    expect(await rowsOf(), 'the minute runs').toEqual([]);
    world.clock.advance(MINUTE);
    await world.insert(await world.arrive(0, 2));
    await world.settle();
    expect(await rowsOf()).toMatchObject([{ startMs: T0, from: 0, to: 5, stored: 5, balanced: true }]);
    expect(await sealedTo(world.catalog, keyOf(0))).toBe(5);
    world.clock.advance(MINUTE);
    await world.settle();
    expect(await rowsOf(), 'the second minute is not applied').toHaveLength(1);
    expect(world.ledger.health(TENANT, STREAM)).toMatchObject({ balanced: true, checkedToMs: T0 + MINUTE });
    world.applyAll();
    await world.settle();
    expect(await rowsOf()).toHaveLength(2);
    expect(world.ledger.health(TENANT, STREAM)).toEqual({
      balanced: true,
      checkedToMs: T0 + 2 * MINUTE,
      mismatchedMinutes: 0,
      checked: expect.any(Number),
    });
    expect((await ask()).rows).toMatchObject([{ sealed: true }, { sealed: true }]);
  });

  it('finds any row that is gone, doubled or astray, and nothing where all is well', async () => {
    const arrival = fc.record({
      partition: fc.integer({ min: 0, max: 1 }),
      count: fc.integer({ min: 1, max: 6 }),
      pauseMs: fc.integer({ min: 0, max: 90_000 }),
    });
    const outcome = fc.constantFrom<Outcome>('stored', 'duplicate', 'quarantined', 'late');
    await fc.assert(
      fc.asyncProperty(
        fc.array(arrival, { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(outcome),
        fc.array(fc.tuple(fc.constantFrom('remove', 'double', 'move'), fc.nat(), outcome), { maxLength: 3 }),
        async (arrivals, outcomes, damages) => {
          await world.begin();
          const rows: Row[] = [];
          for (const { partition, count, pauseMs } of arrivals) {
            const arrived = await world.arrive(partition, count);
            rows.push(...arrived.map((row) => ({ ...row, outcome: outcomes.next().value })));
            world.clock.advance(pauseMs);
          }
          const before = [...rows];
          for (const [damage, at, other] of damages) {
            const place = at % Math.max(1, rows.length);
            const row = rows[place];
            if (!row) continue;
            if (damage === 'remove') rows.splice(place, 1);
            else if (damage === 'double') rows.push({ ...row, outcome: other });
            else rows[place] = { ...row, receivedMs: row.receivedMs + 3_600_000 };
          }
          const names = (some: readonly Row[]) =>
            some
              .map((row) => `${row.partition} ${row.offset} ${Math.floor(row.receivedMs / MINUTE)}`)
              .sort()
              .join();
          const whole = names(rows) === names(before);
          await world.insert(rows);
          world.applyAll();
          const answer = await ask({ fromMs: T0, toMs: T0 + 7_200_000, limit: 1_000 });
          expect(answer.balanced).toBe(whole);
          expect(answer.totals.accepted).toBe(before.length);
          world.clock.advance(2 * 3_600_000);
          // A last arrival, so that minutes of rows that went astray are sealed over.
          for (const partition of [0, 1]) await world.insert(await world.arrive(partition, 1));
          world.applyAll();
          world.clock.advance(MINUTE);
          await world.settle();
          const sealed = await rowsOf();
          for (const partition of [0, 1]) {
            const own = sealed.filter((row) => row.partition === partition);
            expect(own.map((row) => row.from).slice(1)).toEqual(own.map((row) => row.to).slice(0, -1));
            expect(own.at(-1)?.to).toBe(world.log.state(keyOf(partition)).end);
          }
          const removed = before.length - new Set(rows.map((row) => `${row.partition} ${row.offset}`)).size;
          if (removed > 0 || whole) expect(sealed.every((row) => row.balanced)).toBe(whole);
          world.clock.advance(20_000);
          await world.settle();
          const health = world.ledger.health(TENANT, STREAM);
          expect(health.balanced, 'the round over everything').toBe(whole);
          expect(errors().length > 0).toBe(!whole);
          for (const row of await rowsOf()) {
            const found = row.stored + row.duplicates + row.quarantined + row.lateDropped;
            expect(row.to - row.from - row.missing + row.extra).toBe(found);
          }
        },
      ),
      { numRuns: 25 },
    );
  }, 300_000);

  it('tells a doubled row that hides a missing one', async () => {
    const rows = await world.arrive(0, 10);
    await world.insert([...rows.filter(({ offset }) => offset !== 4), rows[7]!]);
    world.applyAll();
    world.clock.advance(MINUTE);
    await world.settle();
    expect(await rowsOf()).toMatchObject([{ stored: 10, missing: 1, extra: 1, balanced: false }]);
    expect(errors()).toEqual([
      expect.objectContaining({
        stream: 's',
        partition: 0,
        minute: new Date(T0).toISOString(),
        expected: 10,
        found: 10,
        missing: 1,
        extra: 1,
        repair: 'millrace reconcile s --repair',
      }),
    ]);
    expect(await sealedTo(world.catalog, keyOf(0))).toBe(0);
    const { rows: lines } = await ask({ byPartition: true, onlyMismatched: true });
    expect(lines).toMatchObject([
      { partition: 0, accepted: 10, stored: 10, missing: 1, extra: 1, balanced: false },
    ]);
  });

  it('tells a mismatch once, and that it balances again after a repair', async () => {
    const rows = await world.arrive(0, 3);
    await world.insert(rows.slice(1));
    world.applyAll();
    world.clock.advance(MINUTE);
    for (let round = 0; round < 4; round += 1) {
      await world.settle();
      world.clock.advance(40_000);
    }
    expect(errors()).toHaveLength(1);
    world.restart();
    await world.settle();
    expect(errors(), 'a restart does not tell it again').toHaveLength(1);
    expect(world.ledger.health(TENANT, STREAM)).toMatchObject({ balanced: false, mismatchedMinutes: 1 });
    await world.insert(rows.slice(0, 1));
    await unseal(world.catalog, TENANT, STREAM, { partition: 0 });
    await world.settle();
    expect(world.ledger.health(TENANT, STREAM)).toMatchObject({ balanced: true, mismatchedMinutes: 0 });
    expect(world.told.at(-1)).toMatchObject({
      level: 'info',
      details: { stream: 's', partition: 0, found: 3 },
    });
    expect(await sealedTo(world.catalog, keyOf(0))).toBe(3);
  });

  it('finds what vanishes long after it was sealed', async () => {
    const rows = await world.arrive(1, 5);
    await world.insert(rows);
    world.applyAll();
    world.clock.advance(MINUTE);
    await world.settle();
    expect(await sealedTo(world.catalog, keyOf(1))).toBe(5);
    await world.remove(rows[2]!);
    expect((await ask()).rows, 'who asks sees it at once').toMatchObject([
      { missing: 1, balanced: false, sealed: true },
    ]);
    world.clock.advance(20_000);
    await world.settle();
    expect(world.ledger.health(TENANT, STREAM)).toMatchObject({ balanced: false, mismatchedMinutes: 1 });
    expect(errors()).toMatchObject([{ partition: 1, missing: 1, extra: 0 }]);
  });

  it('says nothing of what is whole when it is looked at again between two batches', async () => {
    const rows = await world.arrive(0, 3);
    await world.insert(rows.slice(1));
    world.applyAll();
    world.clock.advance(MINUTE);
    // What moves a row leaves it nowhere for a moment, and is done when nothing else may write.
    const { ingest } = world;
    ingest.exclusively = async (_tenant, _stream, work) => {
      await world.insert(rows.slice(0, 1));
      return work();
    };
    Object.defineProperty(world, 'ingest', { configurable: true, value: ingest });
    world.restart();
    await world.settle();
    expect(await rowsOf()).toMatchObject([{ balanced: true, stored: 3 }]);
    expect(errors()).toEqual([]);
    Reflect.deleteProperty(world, 'ingest');
  });

  it('does not wait for ever for its turn, and seals nothing behind what it could not look at', async () => {
    const first = await world.arrive(0, 3);
    await world.insert(first.slice(1));
    world.clock.advance(MINUTE);
    await world.insert(await world.arrive(0, 2));
    await world.insert(await world.arrive(1, 2));
    world.applyAll();
    world.clock.advance(MINUTE);
    const { ingest } = world;
    ingest.exclusively = () => new Promise(() => undefined);
    Object.defineProperty(world, 'ingest', { configurable: true, value: ingest });
    world.restart();
    const round = world.ledger.round();
    let done = false;
    void round.finally(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      world.clock.advance(1_000);
    }
    expect((await rowsOf()).map((row) => row.partition)).toEqual([1]);
    expect(await sealedTo(world.catalog, keyOf(0))).toBe(0);
    Reflect.deleteProperty(world, 'ingest');
    world.restart();
    await world.settle();
    expect((await rowsOf()).map((row) => [row.partition, row.balanced])).toEqual([
      [0, false],
      [0, true],
      [1, true],
    ]);
  });

  it('keeps a minute whole when the clock is set back or a minute gets its last records late', async () => {
    world.clock.advance(5 * MINUTE);
    const rows = await world.arrive(0, 2);
    await world.insert(rows);
    world.applyAll();
    // Back by five minutes: arrivals go on in the newest minute there was.
    const back = world.clock.now() - 5 * MINUTE;
    world.clock.now = () => back;
    const more = await world.arrive(0, 3);
    expect(more[0]!.receivedMs).toBe(rows[0]!.receivedMs);
    await world.settle();
    expect(await rowsOf(), 'sealed as far as it is applied').toMatchObject([
      { from: 0, to: 2, balanced: true },
    ]);
    await world.insert(more);
    world.applyAll();
    await world.settle();
    expect(await rowsOf()).toMatchObject([
      { startMs: T0 + 5 * MINUTE, from: 0, to: 5, stored: 5, balanced: true },
    ]);
    const forward = back + 20 * MINUTE;
    world.clock.now = () => forward;
    await world.insert(await world.arrive(0, 1));
    world.applyAll();
    await world.settle();
    expect(await rowsOf()).toMatchObject([{ from: 0, to: 5 }]);
    expect((await ask()).rows).toMatchObject([
      { accepted: 5, sealed: true },
      { accepted: 1, sealed: false },
    ]);
  });

  it('shows what was sealed once retention has dropped the rows, table by table', async () => {
    const rows = await world.arrive(0, 4);
    const outcomes: Outcome[] = ['stored', 'duplicate', 'quarantined', 'stored'];
    await world.insert(rows.map((row, index) => ({ ...row, outcome: outcomes[index]! })));
    world.applyAll();
    world.clock.advance(MINUTE);
    await world.settle();
    const dayMs = 86_400_000;
    const firstKept = Math.floor(T0 / dayMs) * dayMs + dayMs;
    await world.catalog.ledger.setForgottenBefore(TENANT, STREAM, 'quarantine', firstKept);
    await world.engine.execute({ text: 'TRUNCATE TABLE t_default.quarantine_s' });
    world.clock.advance(20_000);
    await world.settle();
    const known = { accepted: 4, stored: 2, duplicates: 1, quarantined: 1, missing: 0, balanced: true };
    expect((await ask()).rows).toMatchObject([{ ...known, source: 'sealed' }]);
    await world.remove(rows[0]!);
    expect((await ask()).rows, 'what is left must still add up').toMatchObject([
      { missing: 1, balanced: false },
    ]);
    for (const table of ['events', 'discarded'] as const)
      await world.catalog.ledger.setForgottenBefore(TENANT, STREAM, table, firstKept);
    for (const table of ['events_s', 'discarded_s'])
      await world.engine.execute({ text: `TRUNCATE TABLE t_default.${table}` });
    await unseal(world.catalog, TENANT, STREAM, {});
    await world.settle();
    world.clock.advance(20_000);
    await world.settle();
    expect((await ask()).rows).toMatchObject([{ ...known, sealed: true, source: 'sealed' }]);
    expect(world.ledger.health(TENANT, STREAM).balanced).toBe(true);
    expect(errors()).toEqual([]);
  });

  it('goes by wider buckets, page by page, and refuses what it cannot answer', async () => {
    for (let minute = 0; minute < 12; minute += 1) {
      for (const partition of [0, 1]) await world.insert(await world.arrive(partition, 2));
      world.clock.advance(MINUTE);
    }
    world.applyAll();
    await world.settle();
    expect((await ask({ every: '10m' })).rows.map((row) => row.accepted)).toEqual([40, 8]);
    expect((await ask({ every: '1d' })).rows.map((row) => row.accepted)).toEqual([48]);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await ask({ byPartition: true, limit: 5, ...(cursor ? { cursor } : {}) });
      seen.push(...page.rows.map((row) => `${row.startMs} ${row.partition}`));
      expect(page.totals.accepted).toBe(48);
      cursor = page.next;
    } while (cursor);
    expect(new Set(seen).size).toBe(24);
    expect(seen).toHaveLength(24);
    expect((await ask({ partition: 1 })).totals.accepted).toBe(24);
    await expect(
      ask({ fromMs: T0 + 120_000, toMs: T0, limit: 0, partition: 2, cursor: '!' }),
    ).rejects.toMatchObject({
      code: 'bad-question',
      issues: [{ path: 'from' }, { path: 'limit' }, { path: 'partition' }, { path: 'cursor' }],
    });
    await expect(ask({ fromMs: 0 })).rejects.toMatchObject({ issues: [{ path: 'every' }] });
    await world.catalog.ledger.mergeToHours(TENANT, STREAM, T0 + 3_600_000, 10);
    await expect(ask({ fromMs: T0, toMs: T0 + 3_600_000 })).rejects.toMatchObject({
      issues: [{ path: 'every' }],
    });
    expect((await ask({ every: '1h' })).rows).toMatchObject([{ accepted: 48, balanced: true, sealed: true }]);
    world.clock.advance(20_000);
    await world.settle();
    expect(world.ledger.health(TENANT, STREAM).balanced, 'merged hours are checked as well').toBe(true);
    await expect(world.ledger.ask(TENANT, 'nobody')).rejects.toMatchObject({ code: 'unknown-stream' });
  });

  it('says what became of exactly the records of one request', async () => {
    await world.insert(await world.arrive(0, 3));
    const own = [...(await world.arrive(0, 4)), ...(await world.arrive(1, 2))];
    const outcomes: Outcome[] = ['stored', 'duplicate', 'quarantined', 'late', 'stored', 'stored'];
    await world.insert(
      own.map((row, index) => ({ ...row, outcome: outcomes[index]!, id: `id-${index}` })).slice(0, 5),
    );
    world.applied = [7, 1];
    expect(await world.ledger.batch(TENANT, STREAM, '0-3-4.1-0-2')).toEqual({
      ...{ accepted: 6, stored: 2, duplicates: 1, quarantined: 1, lateDropped: 1 },
      ...{ pending: 1, forgotten: 0, missing: 0, extra: 0, balanced: true },
      exceptions: [
        {
          partition: 0,
          offset: 4,
          outcome: 'duplicate',
          reason: 'an event of this id was stored before',
          id: 'id-1',
        },
        { partition: 0, offset: 5, outcome: 'quarantined', reason: 'wrong type', field: 'n', id: 'id-2' },
        {
          partition: 0,
          offset: 6,
          outcome: 'late_dropped',
          reason: 'later than the stream allows',
          id: 'id-3',
        },
      ],
    });
    world.applyAll();
    expect(await world.ledger.batch(TENANT, STREAM, '1-0-2')).toMatchObject({ missing: 1, balanced: false });
    await expect(world.ledger.batch(TENANT, STREAM, '1-0-3')).rejects.toMatchObject({ code: 'not-found' });
    await expect(world.ledger.batch(TENANT, STREAM, 'x')).rejects.toMatchObject({
      issues: [{ path: 'batch' }],
    });
  });
});
