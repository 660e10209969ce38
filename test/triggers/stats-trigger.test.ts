/** Triggers over questions about a stream, in the whole system, under a clock that the test moves. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineStream, defineTrigger, t } from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const readings = defineStream('readings', {
  fields: { id: t.string(), at: t.timestamp(), station: t.string(), value: t.float64() },
  eventId: 'id',
  eventTime: 'at',
});
const notices = defineStream('notices', {
  fields: { at: t.timestamp(), trigger: t.string(), status: t.string(), station: t.string() },
  eventTime: 'at',
});
const minute = { stream: readings, over: '1m', every: '1m' } as const;
const busy = defineTrigger('busy', {
  on: minute,
  measure: 'count',
  by: ['station'],
  when: { above: 2, clear: 1 },
  do: [{ event: notices }, { webhook: 'https://duty.example/hook' }, { email: ['duty@station.example'] }],
});
const silent = defineTrigger('silent', { on: minute, measure: 'count', when: { absent: '3m' } });

const NOW = '2026-03-02T12:00:00.000Z';
let app: TestProject;
beforeAll(async () => {
  app = await testProject({ streams: [readings, notices], triggers: [busy, silent] }, { now: NOW });
});
afterAll(() => app.close());
beforeEach(() => app.reset());

let made = 0;
const send = (station: string, many: number) =>
  app.send(
    'readings',
    Array.from({ length: many }, () => {
      made += 1;
      return { id: `r${made}`, at: app.now(), station, value: 1 };
    }),
  );
const at = (event: object): string => String((event as { time?: string; at?: string }).time).slice(11, 16);
const firings = async (trigger: string) =>
  (await app.events(trigger)).map((event) => `${at(event)} ${event.status} ${String(event.label)}`);

describe('a trigger over a question', () => {
  it('fires and resolves for each group, once, as events of a stream of its own', async () => {
    await send('north', 3);
    await send('south', 2);
    await app.advance('1m');
    expect(await firings('busy')).toEqual(['12:01 firing station=north']);
    expect((await app.client.triggers.state('busy')).groups).toMatchObject([
      { group: { station: 'north' }, state: 'firing', value: 3, since: '2026-03-02T12:01:00.000Z' },
    ]);
    await send('north', 2);
    await app.advance('1m');
    // Two are between the thresholds.
    expect(await firings('busy')).toHaveLength(1);
    await app.advance('5m');
    expect(await firings('busy')).toEqual(['12:01 firing station=north', '12:03 resolved station=north']);
    const [first, second] = await app.events('busy');
    expect(second).toMatchObject({ firing_id: first!.firing_id, started_at: first!.time, value: 0 });
    expect(await app.client.triggers.state('busy')).toMatchObject({ firing: 0, groups: [] });
  });

  it('does what it is told to: an event in a stream, a webhook, a mail', async () => {
    await send('north', 3);
    await app.advance('3m');
    const told = await app.events('notices');
    expect(told.map(({ trigger, status, station }) => [trigger, status, station])).toEqual([
      ['busy', 'firing', 'north'],
      ['busy', 'resolved', 'north'],
    ]);
  });

  it('notices that nothing comes, and that something comes again', async () => {
    await send('north', 1);
    await app.advance('4m');
    expect(await firings('silent')).toEqual(['12:04 firing ']);
    await send('north', 1);
    await app.advance('1m');
    expect(await firings('silent')).toEqual(['12:04 firing ', '12:05 resolved ']);
  });

  it('keeps silent while it is muted, and fires when that is over and it still holds', async () => {
    const muted = await app.client.triggers.mute('busy', { until: '+90s', group: { station: 'north' } });
    expect(muted.groups).toMatchObject([
      { group: { station: 'north' }, muted_until: '2026-03-02T12:01:30.000Z' },
    ]);
    await send('north', 3);
    await send('south', 3);
    await app.advance('1m');
    expect(await firings('busy')).toEqual(['12:01 firing station=south']);
    expect(await app.client.triggers.state('busy')).toMatchObject({ firing: 1, pending: 1 });
    await send('north', 3);
    await app.advance('1m');
    expect(await firings('busy')).toContain('12:02 firing station=north');
    await expect(app.client.triggers.mute('busy', { until: '+1h', group: { town: 1 } })).rejects.toThrow(
      /station/,
    );
  });

  it('goes on after a crash, makes up for what it missed, and tells nothing twice', async () => {
    await send('north', 3);
    await app.advance('1m');
    await app.crash();
    await app.advance('10s');
    expect(await firings('busy')).toEqual(['12:01 firing station=north']);
    await app.advance('2m');
    await app.crash();
    await app.settle();
    expect(await firings('busy')).toEqual(['12:01 firing station=north', '12:02 resolved station=north']);
  });

  it('tells from history when it would have fired, and tells nobody', async () => {
    await send('north', 3);
    await app.advance('5m');
    await send('north', 4);
    await app.advance('5m');
    const before = await app.events('busy');
    const tested = await app.client.triggers.test('busy', { from: '-1h' });
    expect(tested.firings).toMatchObject([
      {
        ...{ group: { station: 'north' }, fired_at: '2026-03-02T12:01:00.000Z', value: 3 },
        resolved_at: '2026-03-02T12:02:00.000Z',
      },
      { fired_at: '2026-03-02T12:06:00.000Z', value: 4 },
    ]);
    expect(await app.events('busy')).toEqual(before);
    await expect(app.client.triggers.test('busy', { from: '-30d' })).rejects.toThrow(/shorter/);
  });

  it('is changed: what fired is resolved, and it looks anew; is removed: its firings go with it', async () => {
    await send('north', 3);
    await app.advance('1m');
    await app.client.put('trigger', 'busy', {
      ...{ on: { stream: 'readings', over: '1m', every: '1m' }, measure: 'count', by: ['station'] },
      when: { above: 1_000 },
    });
    await app.settle();
    expect(await firings('busy')).toEqual(['12:01 firing station=north', '12:01 resolved station=north']);
    await app.client.remove('trigger', 'busy');
    await expect(app.events('busy')).rejects.toThrow(/no stream/);
    await expect(app.client.triggers.state('busy')).rejects.toThrow(/no trigger/);
  });

  it('has a stream that nobody else writes to, changes or removes', async () => {
    await expect(app.send('busy', [{ time: app.now() }])).rejects.toThrow();
    await expect(app.client.remove('stream', 'busy')).rejects.toThrow(/results of the trigger/);
  });
});
