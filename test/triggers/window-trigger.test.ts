/** Triggers over results of windows, in the whole system, under a clock that the test moves. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const MINUTE = { from: 'readings', tumbling: { size: '1m' }, measures: { n: 'count()' } };
const NOW = '2026-03-02T12:00:00.000Z';

let app: TestProject;
beforeAll(async () => {
  app = await testProject([], { now: NOW });
});
afterAll(() => app.close());
beforeEach(async () => {
  await app.reset();
  await app.client.put('stream', 'readings', {
    ...{ fields: { id: 'string', at: 'timestamp', station: 'string' }, eventId: 'id', eventTime: 'at' },
    ...{ lateness: { allowed: '1h' }, watermark: { delay: '0s', idle: '10s' } },
  });
  await app.client.put('window', 'per_minute', { ...MINUTE, by: ['station'] });
  await app.client.put('trigger', 'busy', {
    ...{ on: { window: 'per_minute' }, measure: 'n', when: { above: 2 } },
  });
  await app.settle();
});

let made = 0;
const at = (minute: string): string => `2026-03-02T12:${minute}Z`;
const send = (...readings: readonly (readonly [station: string, minute: string])[]) =>
  app.send(
    'readings',
    readings.map(([station, minute]) => {
      made += 1;
      return { id: `r${made}`, at: at(minute), station };
    }),
  );
const firings = async (trigger = 'busy') =>
  (await app.events(trigger)).map(
    ({ time, status, label }) => `${String(time).slice(14, 16)} ${String(status)} ${String(label)}`,
  );
const three = (station: string, minute: string) =>
  ['10', '20', '30'].map((second) => [station, `${minute}:${second}`] as const);

describe('a trigger over a window', () => {
  it('fires by the results of closed windows, and is resolved when a group has none', async () => {
    await app.advance('1m');
    await send(...three('north', '00'), ['south', '00:10']);
    await app.advance('1m');
    expect(await firings()).toEqual(['01 firing station=north']);
    await send(['south', '01:30'], ['south', '02:30']);
    await app.advance('1m');
    expect(await firings()).toEqual(['01 firing station=north', '02 resolved station=north']);
    const tested = await app.client.triggers.test('busy', { from: '-1h' });
    expect(tested.firings).toMatchObject([
      {
        ...{ group: { station: 'north' }, fired_at: at('01:00.000'), value: 3 },
        resolved_at: at('02:00.000'),
      },
    ]);
  });

  it('takes a correction of the newest window instead of its number, and leaves older ones alone', async () => {
    await app.advance('2m');
    await send(['north', '00:10'], ['north', '00:20'], ['north', '01:10']);
    await app.advance('1m');
    expect(await firings()).toEqual([]);
    // Late: of a window that is not the newest any more.
    await send(['north', '00:30'], ['north', '00:40']);
    await app.advance('1m');
    expect(await firings()).toEqual([]);
    expect(await app.events('per_minute')).toHaveLength(3);
    await send(['north', '01:20'], ['north', '01:30']);
    await app.advance('10s');
    // The window behind it has closed without a reading meanwhile.
    expect(await firings()).toEqual(['02 firing station=north', '03 resolved station=north']);
  });

  it('tells each firing once, whatever crashes', async () => {
    await app.advance('1m');
    await send(...three('north', '00'));
    await app.crash();
    await app.advance('1m');
    await app.crash();
    await app.advance('2m');
    const told = await firings();
    expect(told.filter((one) => one.includes('firing'))).toEqual(['01 firing station=north']);
    expect(told.length).toBeLessThanOrEqual(2);
  });

  it('begins anew when its window means something else, and is not left without it', async () => {
    await app.advance('1m');
    await send(...three('north', '00'));
    await app.advance('1m');
    expect(await firings()).toEqual(['01 firing station=north']);
    await app.client.put('window', 'per_minute', { ...MINUTE, by: ['station'], tumbling: { size: '5m' } });
    await app.settle();
    expect(await firings()).toEqual(['01 firing station=north', '02 resolved station=north']);
    expect(await app.client.triggers.state('busy')).toMatchObject({ firing: 0, groups: [] });
    await expect(app.client.remove('window', 'per_minute')).rejects.toThrow(/trigger "busy"/);
    await send(...three('south', '02'));
    await app.advance('5m');
    expect(await firings()).toContain('05 firing station=south');
  });

  it('waits for as long as it must hold, keeps silent after it, and goes on when the silence is over', async () => {
    await app.client.put('trigger', 'patient', {
      ...{ on: { window: 'per_minute' }, measure: 'n', when: { above: 2, clear: 1 }, for: '1m', mute: '4m' },
    });
    await app.advance('1m');
    await send(...three('north', '00'));
    await app.advance('1m');
    expect((await app.client.triggers.state('patient')).groups).toMatchObject([
      { state: 'pending', since: at('01:00.000'), value: 3, firing_id: null },
    ]);
    // Two are between the thresholds; then silence, and three again within the mute.
    await send(...three('north', '01'), ['north', '02:10'], ['north', '02:20']);
    await app.advance('2m');
    await send(...three('north', '04'), ...three('north', '05'));
    await app.advance('2m');
    expect(await firings('patient')).toEqual(['02 firing station=north', '04 resolved station=north']);
    expect((await app.client.triggers.state('patient')).groups).toMatchObject([
      { state: 'pending', since: at('05:00.000') },
    ]);
    await app.advance('1m');
    expect((await firings('patient')).slice(2)).toEqual(['06 firing station=north']);
    const tested = await app.client.triggers.test('patient', { from: '-1h' });
    expect(tested.firings.map((one) => [one.fired_at, one.resolved_at])).toEqual([
      [at('02:00.000'), at('04:00.000')],
      [at('06:00.000'), null],
    ]);
  });

  it('notices that a group has no results any more', async () => {
    await app.client.put('trigger', 'gone', {
      ...{ on: { window: 'per_minute' }, measure: 'n', when: { absent: '5m' } },
    });
    await app.advance('1m');
    await send(['north', '00:10'], ['south', '00:10']);
    await app.advance('4m');
    await send(['south', '04:10']);
    await app.advance('2m');
    expect(await firings('gone')).toEqual(['06 firing station=north']);
    expect((await app.client.triggers.test('gone', { from: '-1h' })).firings).toMatchObject([
      { group: { station: 'north' }, fired_at: at('06:00.000'), resolved_at: null },
    ]);
  });

  it('compares with earlier windows', async () => {
    await app.client.put('trigger', 'jump', {
      ...{ on: { window: 'per_minute' }, measure: 'n', when: { changes: { by: 1, within: '2m' } } },
    });
    await app.advance('1m');
    await send(['north', '00:10']);
    await app.advance('2m');
    await send(['north', '02:10'], ['north', '02:20']);
    await app.advance('2m');
    expect(await firings('jump')).toEqual(['03 firing station=north', expect.stringMatching(/resolved/)]);
  });
});
