/** What is written of a group, what is made of it afterwards, and what becomes of it when the clock is set back. */
import { expect, it } from 'vitest';
import type { TriggerCondition, TriggerDefinition } from '../../src/define/model.ts';
import { Deciding } from '../../src/triggers/decide.ts';
import { restored, toKeep } from '../../src/triggers/keep.ts';
import { GROUPS_MAX, type GroupRecord, type Head } from '../../src/triggers/records.ts';
import { setBack } from '../../src/triggers/set-back.ts';

const MINUTE = 60_000;
const trigger = (when: TriggerCondition): TriggerDefinition => ({
  ...{ kind: 'trigger', name: 't', measure: 'count', by: ['g'], when, forMs: 0, muteMs: 0, actions: [] },
  on: { kind: 'stats', stream: 's', overMs: MINUTE, everyMs: MINUTE, where: [] },
});
const head = (atMs: number): Head => ({
  ...{ rule: '', offsets: [], atMs, throughMs: atMs, newestEndMs: 0, told: 0, ignored: 0, mutes: [] },
});
const look = (
  of: TriggerDefinition,
  groups: ReadonlyMap<string, GroupRecord>,
  atMs: number,
  numbers: object,
) => {
  const deciding = new Deciding(of, head(atMs), groups, atMs);
  for (const [key, value] of Object.entries(numbers) as [string, number][])
    deciding.look({
      ...{ key, group: { g: key } },
      observation: { atMs, value, ...(value === 0 ? {} : { aliveAtMs: atMs }) },
    });
  return deciding;
};

it.each([{ kind: 'absent', forMs: 3 * MINUTE } as const, { kind: 'below', value: 2, clear: 2 } as const])(
  'a group at which nothing happens is written once ($kind), and read as it was left',
  (when) => {
    const of = trigger(when);
    let groups: ReadonlyMap<string, GroupRecord> = new Map();
    const kept = new Map<string, GroupRecord>();
    const written: string[] = [];
    for (let minute = 1; minute <= 20; minute += 1) {
      const atMs = minute * MINUTE;
      // `b` is silent between the fifth and the fifteenth minute.
      const isSilent = minute > 5 && minute <= 15;
      groups = look(of, groups, atMs, { a: 5 + minute, b: isSilent ? 0 : minute + 2 }).groups;
      for (const [key, record] of groups) {
        const one = toKeep(of, kept.get(key), record, head(atMs));
        if (one) written.push(`${key}${minute}`);
        if (one) kept.set(key, one);
        const { value: _, ...left } = record.state;
        const { value: __, ...read } = restored(of, kept.get(key)!, head(atMs)).state;
        if (when.kind === 'below') delete (read as { aliveAtMs?: number }).aliveAtMs;
        expect(left, `${key}${minute}`).toMatchObject(read);
      }
    }
    expect(written).toEqual(
      // Silent, firing, and back again.
      when.kind === 'absent' ? ['a1', 'b1', 'b6', 'b8', 'b16'] : ['a1', 'b1', 'b6', 'b16'],
    );
  },
);

it('watches no more groups than it may, counts the others, and fires for none of those', () => {
  const of = trigger({ kind: 'above', value: 1, clear: 1 });
  const deciding = new Deciding(of, head(0), new Map(), MINUTE);
  for (let n = 0; n < GROUPS_MAX + 3; n += 1)
    deciding.look({ key: `${n}`, group: { g: n }, observation: { atMs: MINUTE, value: 5 } });
  const decision = deciding.decision();
  expect(decision.told).toHaveLength(GROUPS_MAX);
  expect(decision.head).toEqual({ told: GROUPS_MAX, ignored: 3 });
});

it('a clock that is set back goes on from the moment that it shows: nobody is blind until it has caught up', () => {
  const of = trigger({ kind: 'absent', forMs: 3 * MINUTE });
  const { groups } = look(of, new Map(), 100 * MINUTE, { a: 1 });
  const held = { head: head(100 * MINUTE), groups, kept: groups, out: new Map() };
  expect(setBack(of, held, 99.5 * MINUTE)).toBe(held);
  const back = setBack(of, held, 40 * MINUTE);
  expect(back.head).toMatchObject({ atMs: 40 * MINUTE, throughMs: 40 * MINUTE });
  const silent = look(of, back.groups, 43 * MINUTE, { a: 0 });
  expect(silent.decision().told.map(({ told }) => [told.status, told.atMs])).toEqual([
    ['firing', 43 * MINUTE],
  ]);
});
