/**
 * What a trigger tells while windows close is what a test over the same time says afterwards, and what a plain loop over the
 * numbers says: every group at every end, one after the other.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TriggerCondition } from '../../src/define/model.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';
import { type GroupState, step } from '../../src/triggers/machine.ts';

const NOW = '2026-03-02T12:00:00.000Z';
const BEGIN = Date.parse('2026-03-02T10:00:00Z');
const MINUTE = 60_000;
const MINUTES = 40;

let app: TestProject;
beforeAll(async () => {
  app = await testProject([], { now: NOW });
});
afterAll(() => app.close());

/** Numbers below 1 from a seed: the same at every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

interface Reading {
  readonly id: string;
  readonly at: number;
  readonly station: string;
  readonly value: number;
}

/** Stations that are busy, quiet, and silent for a while. */
function readingsOf(seed: number): readonly Reading[] {
  const next = random(seed);
  const readings: Reading[] = [];
  for (const station of ['a', 'b', 'c']) {
    let rate = 2;
    for (let minute = 0; minute < MINUTES; minute += 1) {
      if (next() < 0.25) rate = Math.floor(next() * 6) * (next() < 0.4 ? 0 : 1);
      for (let one = 0; one < rate; one += 1) {
        const at = BEGIN + minute * MINUTE + Math.floor(next() * MINUTE);
        readings.push({ id: `${seed}.${readings.length}`, at, station, value: Math.floor(next() * 10) });
      }
    }
  }
  return readings.sort((a, b) => a.at - b.at);
}

interface Asked {
  readonly window: 'minutes' | 'sliding' | 'all';
  readonly measure: 'n' | 'mean';
  readonly when: object;
  readonly rule: TriggerCondition;
  readonly for?: number;
  readonly mute?: number;
}

const above = (value: number, clear = value): TriggerCondition => ({ kind: 'above', value, clear });
const below = (value: number, clear = value): TriggerCondition => ({ kind: 'below', value, clear });
const TRIGGERS: Readonly<Record<string, Asked>> = {
  high: { window: 'minutes', measure: 'n', when: { above: 3, clear: 1 }, rule: above(3, 1), mute: 5 },
  long: { window: 'minutes', measure: 'n', when: { above: 1 }, rule: above(1), for: 2 },
  low: { window: 'minutes', measure: 'n', when: { below: 1, clear: 2 }, rule: below(1, 2), for: 3 },
  means: { window: 'minutes', measure: 'mean', when: { above: 5 }, rule: above(5), for: 1, mute: 3 },
  jump: {
    ...{ window: 'minutes', measure: 'n', when: { changes: { by: 1, within: '2m' } } },
    rule: { kind: 'changes', by: 1, withinMs: 2 * MINUTE },
  },
  slide: { window: 'sliding', measure: 'n', when: { above: 8, clear: 5 }, rule: above(8, 5) },
  nothing: { window: 'all', measure: 'n', when: { below: 1 }, rule: below(1), for: 1 },
};

type Story = readonly (readonly [
  label: string,
  fired: number,
  resolved: number | null,
  value: number | null,
])[];
const inOrder = (story: Story): Story => [...story].sort((a, b) => (String(a) < String(b) ? -1 : 1));

/** The plain loop. */
function expected(asked: Asked, readings: readonly Reading[], lastEnd: number): Story {
  const size = asked.window === 'sliding' ? 3 : 1;
  const groupOf = ({ station }: Reading): string => (asked.window === 'all' ? '' : `station=${station}`);
  const story: [string, number, number | null, number | null][] = [];
  for (const label of new Set(readings.map(groupOf))) {
    const own = readings.filter((one) => groupOf(one) === label);
    const valueAt = (end: number): number | null => {
      const inside = own.filter(({ at }) => at < end && at >= end - size * MINUTE);
      if (asked.measure === 'n') return inside.length;
      return inside.length === 0 ? null : inside.reduce((sum, { value }) => sum + value, 0) / inside.length;
    };
    const first = Math.floor(own[0]!.at / MINUTE) * MINUTE + MINUTE;
    let state: GroupState | undefined;
    const rule = { when: asked.rule, forMs: (asked.for ?? 0) * MINUTE, muteMs: (asked.mute ?? 0) * MINUTE };
    for (let end = first; end <= lastEnd; end += MINUTE) {
      const before = end - 2 * MINUTE < first ? null : valueAt(end - 2 * MINUTE);
      const done = step(rule, state, { atMs: end, value: valueAt(end), before }, String);
      state = done.state;
      if (done.told?.status === 'firing') story.push([label, end, null, done.told.value]);
      else if (done.told) story[story.length - 1]![2] = end;
    }
  }
  return inOrder(story);
}

// Others may be added to try more; each takes seconds.
it.each([1])('all three agree (seed %i)', async (seed) => {
  await app.reset();
  await app.client.put('stream', 'readings', {
    fields: { id: 'string', at: 'timestamp', station: 'string', value: 'float64' },
    ...{ eventId: 'id', eventTime: 'at', watermark: { delay: '0s', idle: false } },
  });
  const measures = { n: 'count()', mean: 'avg(value)' };
  const minutes = { from: 'readings', tumbling: { size: '1m' }, measures };
  await app.client.put('window', 'minutes', { ...minutes, by: ['station'] });
  await app.client.put('window', 'all', minutes);
  await app.client.put('window', 'sliding', {
    ...{ from: 'readings', sliding: { size: '3m', slide: '1m' }, measures, by: ['station'] },
  });
  for (const [name, { window, measure, when, ...rest }] of Object.entries(TRIGGERS))
    await app.client.put('trigger', name, {
      ...{ on: { window }, measure, when },
      ...{ for: `${rest.for ?? 0}m`, mute: `${rest.mute ?? 0}m` },
    });
  await app.settle();

  const readings = readingsOf(seed);
  const next = random(seed + 100);
  for (let sent = 0; sent < readings.length; ) {
    const many = 1 + Math.floor(next() * 50);
    await app.send('readings', readings.slice(sent, sent + many));
    sent += many;
    if (next() < 0.12) await app.crash();
  }
  const closedTo = Math.floor(readings.at(-1)!.at / MINUTE) * MINUTE;
  for (const [name, asked] of Object.entries(TRIGGERS)) {
    const told = new Map<string, [string, number, number | null, number | null]>();
    for (const one of await app.firings(name)) {
      const ms = Date.parse(String(one.time));
      const { firing_id, label, value } = one as unknown as {
        readonly firing_id: string;
        readonly label: string;
        readonly value: number | null;
      };
      if (one.status === 'firing') told.set(firing_id, [label, ms, null, value]);
      else told.get(firing_id)![2] = ms;
    }
    const { firings } = await app.client.triggers.test(name, { from: '-3h' });
    const tested = firings.map(
      (one) =>
        [
          ...[Object.entries(one.group).map(([field, value]) => `${field}=${String(value)}`)[0] ?? ''],
          ...[Date.parse(one.fired_at), one.resolved_at === null ? null : Date.parse(one.resolved_at)],
          one.value,
        ] as unknown as Story[number],
    );
    const plain = expected(asked, readings, closedTo);
    expect(plain.length, name).toBeGreaterThan(0);
    expect({ [name]: inOrder([...told.values()]) }).toEqual({ [name]: plain });
    expect({ [name]: inOrder(tested) }).toEqual({ [name]: plain });
  }
});
