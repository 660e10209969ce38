/** Much at once, and what is forgotten: the work of a step is bounded, and what it tells is the same. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setEventsCompleteSince } from '../../src/catalog/port.ts';
import { eventsTable } from '../../src/store/index.ts';
import { versionOf } from '../../src/windows/publish.ts';
import { makeWorld, TENANT } from './world.ts';

const T0 = Date.UTC(2024, 0, 1);
const MINUTE = 60_000;
let world: Awaited<ReturnType<typeof makeWorld>>;
beforeAll(async () => {
  world = await makeWorld({ keysMax: 5_000 });
});
afterAll(() => world?.close());

let streams = 0;
let stream = '';
let window = '';
beforeEach(async () => {
  world.restart();
  streams += 1;
  stream = `points_${streams}`;
  window = `window_${streams}`;
  await world.registry.put(TENANT, 'stream', stream, {
    fields: { id: 'string', at: 'timestamp', key: 'uint64' },
    ...{ eventId: 'id', eventTime: 'at' },
  });
});
const define = (document: object) =>
  world.registry.put(TENANT, 'window', window, {
    ...{ from: stream, tumbling: { size: '1m' }, measures: { n: 'count()' } },
    ...document,
  });
let ids = 0;
const event = (minute: number, key = 0) => {
  ids += 1;
  return { id: `e${ids}`, at: T0 + minute * MINUTE, key };
};
const reach = async (minute: number) => {
  world.watermark.set(stream, T0 + minute * MINUTE);
  await world.windows.settled(TENANT);
};
const told = async () =>
  (await world.results<Record<string, string | number>>(window)).map(
    ({ window_start, n, version, status, late }) => ({
      ...{ minute: (Date.parse(String(window_start)) - T0) / MINUTE, n: Number(n) },
      ...{ version: Number(version), status, late: Number(late) },
    }),
  );

describe('a step', () => {
  it('corrects each of hundreds of windows once when thousands of late events flood in', async () => {
    await define({});
    await world.send(
      stream,
      Array.from({ length: 300 }, (_, minute) => event(minute)),
    );
    await reach(301);
    const before = world.statements;
    await world.send(
      stream,
      Array.from({ length: 10_000 }, (_, index) => event(index % 300)),
    );
    await reach(301);
    const corrected = (await told()).filter(({ version }) => version !== 1);
    expect(corrected.length).toBe(300);
    expect(corrected.every(({ status, version }) => status === 'corrected' && version === 2)).toBe(true);
    expect(corrected.reduce((sum, { n }) => sum + n, 0)).toBe(10_300);
    expect(corrected.reduce((sum, { late }) => sum + late, 0)).toBe(10_000);
    // Pieces of windows and of rows, not one of each window.
    expect(world.statements - before).toBeLessThan(25);
  });

  it('tells as many keys of a window as it may, counts the others, and does not page through them', async () => {
    await define({ by: ['key'] });
    await world.send(
      stream,
      Array.from({ length: 30_000 }, (_, key) => event(0, key)),
    );
    await world.send(stream, [event(1, 1), event(1, 2)]);
    const before = world.statements;
    await reach(2);
    const all = await told();
    expect(all.filter(({ minute }) => minute === 0).length).toBe(5_000);
    expect(all.filter(({ minute }) => minute === 1).length).toBe(2);
    expect((await world.windows.state(TENANT, window)).keys_cut).toBe(25_000);
    expect(world.statements - before).toBeLessThan(20);
  });
});

describe('what a window has told', () => {
  it('is told as late after a crash too, where windows without events had closed before', async () => {
    await define({});
    await world.send(stream, [event(0)]);
    await reach(2);
    await reach(5);
    expect(world.windows.closedTo(TENANT, window)).toBe(T0 + 5 * MINUTE);
    world.restart();
    await world.send(stream, [event(3)]);
    await reach(6);
    expect((await told())[0]).toEqual({ minute: 3, n: 1, version: 1, status: 'corrected', late: 1 });
  });

  it('never repeats a version, though retention has dropped the earlier ones', async () => {
    await define({});
    await world.send(stream, [event(0), event(5)]);
    await reach(6);
    for (let more = 0; more < 3; more += 1) {
      await world.send(stream, [event(0)]);
      await reach(6);
    }
    const versions = (await told()).filter(({ minute }) => minute === 0).map(({ version }) => version);
    expect(versions).toEqual([4, 3, 2, 1]);
    await setEventsCompleteSince(world.catalog, TENANT, window, T0 + 10 * MINUTE);
    await world.engine.execute({ text: `TRUNCATE TABLE ${eventsTable(TENANT, window)}` });
    await world.send(stream, [event(0)]);
    await reach(6);
    const [after] = await told();
    expect(after).toMatchObject({ minute: 0, n: 5, status: 'corrected' });
    expect(after!.version).toBeGreaterThan(4);
  });

  it('has a version above all that earlier steps can have told', () => {
    for (let step = 1; step < 6; step += 1) {
      // Every earlier step may have told it, and each part of that may be forgotten.
      for (let stored = 0; stored < step; stored += 1)
        expect(versionOf({ step }, 0, stored, 1)).toBeGreaterThanOrEqual(step);
      expect(versionOf({ step }, 1, step - 1, 1)).toBe(step);
    }
  });
});
