import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  count,
  defineStream,
  defineWindow,
  max,
  quantile,
  sum,
  t,
  top,
  unique,
} from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const points = defineStream('points', {
  fields: {
    id: t.string(),
    at: t.timestamp(),
    station: t.uint64(),
    value: t.int64(),
    limit: t.int64().optional(),
  },
  eventId: 'id',
  eventTime: 'at',
  lateness: { allowed: '1h' },
});
const alarms = defineWindow('alarms', {
  from: points,
  tumbling: { size: '5m' },
  by: ['station'],
  where: 'value > limit',
  measures: { alarms: count(), worst: max('value'), total: sum('value') },
});
const moving = defineWindow('moving', {
  from: points,
  sliding: { size: '10m', slide: '5m' },
  measures: { n: count(), stations: unique('station'), spread: quantile('value'), often: top('station', 2) },
});
const visits = defineWindow('visits', {
  from: points,
  session: { gap: '2m', max: '10m' },
  by: ['station'],
  measures: { n: count() },
});

let app: TestProject;
beforeAll(async () => {
  app = await testProject([points, alarms, moving, visits], { now: '2026-03-01T12:00:00Z' });
});
afterAll(() => app?.close());

let fresh = true;
beforeEach(async () => {
  if (!fresh) await app.reset();
  fresh = false;
});

let ids = 0;
const at = (time: string, station = 1, value = 10, limit: number | null = 5) => {
  ids += 1;
  return { id: `e${ids}`, at: `2026-03-01T${time}Z`, station, value, limit };
};
type Result = Readonly<Record<string, unknown>>;
const results = async (window: string): Promise<Result[]> => {
  const events = (await app.events(window)) as readonly Result[];
  return [...events].sort(
    (a, b) => Number(a.step) - Number(b.step) || String(a._id).localeCompare(String(b._id)),
  );
};
const brief = (all: readonly Result[], ...fields: string[]) =>
  all.map((one) =>
    ['window_start', ...fields, 'version', 'status']
      .map((field) => String(one[field]).replace('2026-03-01T', '').replace(':00.000Z', ''))
      .join(' '),
  );

describe('windows', () => {
  it('tell each window once the watermark has passed its end, of the events that satisfy the condition', async () => {
    await app.send('points', [
      at('12:00:30'),
      at('12:01:00', 2, 7),
      at('12:02:00', 1, 3),
      at('12:03:00', 1, 20),
    ]);
    expect(await results('alarms')).toEqual([]);
    await app.send('points', [at('12:05:00', 3, 1)]);
    expect(brief(await results('alarms'), 'station', 'alarms', 'worst', 'total')).toEqual([
      '12:00 1 2 20 30 1 final',
      '12:00 2 1 7 7 1 final',
    ]);
    const [first] = await results('alarms');
    expect(first).toMatchObject({ window_end: '2026-03-01T12:05:00.000Z', events: 2, late: 0 });
  });

  it('tell who asks how many duplicates there were in their time', async () => {
    const twice = at('12:00:30');
    await app.send('points', [twice, twice, at('12:06:00')]);
    await app.send('points', [at('12:11:00', 2), twice]);
    expect(await app.window('alarms')).toMatchObject([
      { window_start: '2026-03-01T12:00:00.000Z', events: 1, duplicates: 2 },
      { window_start: '2026-03-01T12:05:00.000Z', events: 1, duplicates: 0 },
    ]);
  });

  it('correct what they told when late events come, in a new version', async () => {
    await app.send('points', [at('12:00:30'), at('12:05:00')]);
    await app.send('points', [at('12:04:00', 1, 99), at('12:04:30', 7)]);
    await app.advance('2s');
    expect(brief(await results('alarms'), 'station', 'alarms', 'late')).toEqual([
      '12:00 1 1 0 1 final',
      '12:00 1 2 1 2 corrected',
      '12:00 7 1 1 1 corrected',
    ]);
  });

  it('slide', async () => {
    await app.send('points', [at('12:01:00', 1), at('12:06:00', 2), at('12:20:00', 1)]);
    expect(brief(await results('moving'), 'n', 'stations')).toEqual([
      '11:55 1 1 1 final',
      '12:00 2 2 1 final',
      '12:05 1 1 1 final',
    ]);
    const [, two] = await results('moving');
    expect(two!.often).toEqual([
      { value: '1', count: 1 },
      { value: '2', count: 1 },
    ]);
    expect(two!.spread_p50).toBeCloseTo(10, 0);
  });

  it('follow sessions, which late events extend, merge and cut', async () => {
    await app.send('points', [at('12:00:00'), at('12:01:00'), at('12:04:00'), at('12:10:00', 2)]);
    expect(brief(await results('visits'), 'window_end', 'station', 'n')).toEqual([
      '12:00 12:03 1 2 1 final',
      '12:04 12:06 1 1 1 final',
    ]);
    await app.send('points', [at('12:02:30')]);
    await app.advance('2s');
    expect(brief((await results('visits')).slice(2), 'window_end', 'station', 'n')).toEqual([
      '12:00 12:06 1 4 2 corrected',
      '12:04 12:06 1 null 2 retracted',
    ]);
  });

  it('go on after a crash: nothing is told twice, nothing is forgotten', async () => {
    await app.send('points', [at('12:00:30'), at('12:05:00')]);
    await app.crash();
    await app.send('points', [at('12:06:00'), at('12:11:00')]);
    expect(brief(await results('alarms'), 'alarms')).toEqual(['12:00 1 1 final', '12:05 2 1 final']);
  });

  it('close when the stream falls silent', async () => {
    await app.send('points', [at('12:00:30')]);
    await app.advance('10m');
    expect(brief(await results('alarms'), 'alarms')).toEqual(['12:00 1 1 final']);
  });
});
