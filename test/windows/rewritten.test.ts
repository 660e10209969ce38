/** What was told of windows whose events a replay has changed since. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { count, defineStream, defineWindow, sum, t } from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const points = defineStream('points', {
  fields: { id: t.string(), at: t.timestamp(), station: t.uint64(), value: t.int64() },
  ...{ eventId: 'id', eventTime: 'at', lateness: { allowed: '1m', then: 'drop' } },
});
const measures = { n: count(), total: sum('value') };
const slots = defineWindow('slots', { from: points, tumbling: { size: '5m' }, by: ['station'], measures });
const sliding = defineWindow('sliding', { from: points, sliding: { size: '10m', slide: '5m' }, measures });
const visits = defineWindow('visits', { from: points, session: { gap: '2m' }, by: ['station'], measures });

let app: TestProject;
beforeAll(async () => {
  app = await testProject([points, slots, sliding, visits], { now: '2026-03-01T12:00:00Z' });
});
afterAll(() => app?.close());

const event = (id: string, time: string, station: number, value: number) => ({
  ...{ id, at: `2026-03-01T${time}Z`, station, value },
});
const told = async (window: string, versions: 'all' | 'latest' = 'all') =>
  (await app.window(window, versions))
    .map(({ window_start, station = '', n, total, version, status }) =>
      `${window_start.slice(11, 16)} ${station}: ${n} ${total} v${version} ${status}`.replace(
        'null null',
        '-',
      ),
    )
    .sort();
const replayUnder = async (then: 'count' | 'drop') => {
  await app.client.put('stream', 'points', { ...documentOf(then) });
  const run = await app.client.replay('points');
  expect(run).toMatchObject({ state: 'done' });
  await app.advance('2s');
};
const documentOf = (then: 'count' | 'drop') => ({
  fields: { id: 'string', at: 'timestamp', station: 'uint64', value: 'int64' },
  ...{ eventId: 'id', eventTime: 'at', lateness: { allowed: '1m', then } },
});

describe('windows whose stream is replayed', () => {
  it('correct what differs, retract what is gone, and leave alone what is the same', async () => {
    await app.send('points', [event('a', '12:01:00', 1, 10), event('b', '12:01:00', 2, 20)]);
    await app.send('points', [event('c', '12:20:00', 1, 30), event('d', '12:40:00', 1, 40)]);
    // Too late: dropped.
    await app.send('points', [event('e', '12:02:30', 1, 5), event('f', '12:07:00', 3, 6)]);
    // Sessions are looked for once a second.
    await app.advance('2s');
    const before = ['12:00 1: 1 10 v1 final', '12:00 2: 1 20 v1 final', '12:20 1: 1 30 v1 final'];
    expect(await told('slots')).toEqual(before);
    expect(await told('visits')).toEqual([
      '12:01 1: 1 10 v1 final',
      '12:01 2: 1 20 v1 final',
      '12:20 1: 1 30 v1 final',
    ]);
    await replayUnder('count');
    expect(await told('slots')).toEqual(
      [...before, '12:00 1: 2 15 v2 corrected', '12:05 3: 1 6 v1 corrected'].sort(),
    );
    expect(await told('sliding', 'latest')).toEqual([
      '11:55 : 3 35 v2 corrected',
      '12:00 : 4 41 v2 corrected',
      '12:05 : 1 6 v1 corrected',
      '12:15 : 1 30 v1 final',
      '12:20 : 1 30 v1 final',
    ]);
    expect(await told('visits', 'latest')).toEqual([
      '12:01 1: 2 15 v2 corrected',
      '12:01 2: 1 20 v1 final',
      '12:07 3: 1 6 v1 corrected',
      '12:20 1: 1 30 v1 final',
    ]);
    await replayUnder('drop');
    expect((await told('slots')).filter((one) => /v3|retracted/.test(one))).toEqual([
      '12:00 1: 1 10 v3 corrected',
      '12:05 3: - v2 retracted',
    ]);
    expect((await told('visits')).filter((one) => /v3|retracted/.test(one))).toEqual([
      '12:01 1: 1 10 v3 corrected',
      '12:07 3: - v2 retracted',
    ]);
    const all = (await app.events('slots')).length;
    // The same again changes nothing, and neither does a crash.
    await replayUnder('drop');
    await app.crash();
    expect((await app.events('slots')).length).toBe(all);
  });
});
