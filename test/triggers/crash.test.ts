/** The process dies at every call that it makes to the outside, before the call is carried out or behind it. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { parseObject, parseStream } from '../../src/define/index.ts';
import { createMemoryLog } from '../../src/log/index.ts';
import type { Stats } from '../../src/stats/port.ts';
import { type EvaluationParts, evaluate } from '../../src/triggers/evaluation.ts';
import type { Held } from '../../src/triggers/records.ts';
import { FIRINGS } from '../../src/triggers/results.ts';

class Dead extends Error {}

const MINUTE = 60_000;
const SOURCE = { fields: { station: 'string' } };
const REPORT = { period: '1h', questions: { n: { stream: 'source', stats: { fn: 'count' } } } };
const TRIGGER = {
  ...{ on: { stream: 'source', over: '1m', every: '1m' }, measure: 'count', by: ['station'] },
  ...{ when: { above: 10, clear: 5 }, mute: '2m' },
  do: [{ webhook: 'https://duty.example/' }, { report: 'daily' }, { email: ['a@b.example'] }],
};
/** By minute: numbers of the stations a and b. */
const NUMBERS = [
  [1, 1],
  [11, 1],
  [12, 20],
  [4, 20],
  [11, 3],
  [11, 3],
  [1, 30],
  [1, 1],
] as const;

/** `dieAt`: the call at which it dies; `isDone`: what was called is carried out, and nobody hears of it. */
async function story(dieAt: number, isDone: boolean) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const startMs = clock.now();
  const catalog = await openCatalog(':memory:', clock);
  const log = createMemoryLog({ clock, ids: countingIds() });
  for (const [name, document] of [
    ['source', SOURCE],
    ['hot', FIRINGS],
  ] as const)
    await catalog.put(DEFAULT_TENANT, parseStream(name, document));
  const known = {
    stream: (name: string) => catalog.stream(DEFAULT_TENANT, name)?.definition,
    rollup: () => undefined,
    object: ((kind: 'report', name: string) =>
      catalog.object(DEFAULT_TENANT, kind, name)?.definition) as never,
  };
  await catalog.put(DEFAULT_TENANT, parseObject('report', 'daily', REPORT, known));
  const trigger = parseObject('trigger', 'hot', TRIGGER, known);

  let calls = 0;
  let dead = 0;
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls !== dieAt) return work();
    dead += 1;
    if (isDone) await work();
    throw new Dead();
  };
  const reports = new Map<string, string>();
  const stats: Pick<Stats, 'ask'> = {
    ask: (_, __, { to }) =>
      call(async () => {
        const [a, b] = NUMBERS[(Number(to) - startMs) / MINUTE - 1] ?? [0, 0];
        const rows = [
          { station: 'a', count: a },
          { station: 'b', count: b },
        ];
        return {
          columns: [
            { name: 'station', type: 'string' },
            { name: 'count', type: 'uint64' },
          ],
          rowsJson: JSON.stringify(rows),
          rowCount: 2,
          meta: {} as never,
        };
      }),
  };
  const { state } = catalog;
  const parts: EvaluationParts = {
    catalog: {
      stream: (...asked) => catalog.stream(...asked),
      object: (...asked) => catalog.object(...asked),
      state: {
        ...state,
        get: (...asked) => call(() => state.get(...asked)) as never,
        list: (...asked) => call(() => state.list(...asked)) as never,
        write: (...asked) => call(() => state.write(...asked)),
      },
    },
    log: { append: (...asked) => call(() => log.append(...asked)) },
    reports: () => ({
      request: (_, report, { id, reason }) => call(async () => reports.set(id, `${report}: ${reason}`)),
    }),
    stats: () => stats,
    events: () => expect.fail('no events are read'),
    engine: { query: () => expect.fail('no rows are read') },
    ingest: { state: () => expect.fail('nothing is followed') },
    outbox: () => ({
      entering: (_, message) => ({ area: 'sent', key: [message.id], value: message }),
      entered: () => undefined,
    }),
    logger: { warn: () => expect.fail('nothing is lost') },
  };
  let held: Held | undefined;
  for (let minute = 0; minute <= NUMBERS.length; minute += 1) {
    for (let isMore = true; isMore; ) {
      try {
        const done = await evaluate(parts, DEFAULT_TENANT, trigger, held, clock.now());
        ({ held, isMore } = done);
      } catch (error) {
        if (!(error instanceof Dead)) throw error;
        held = undefined;
      }
    }
    clock.advance(MINUTE);
  }
  const key = { tenant: DEFAULT_TENANT, stream: 'hot' as never, partition: 0 };
  const lines = (await log.read(key, 0 as never, 2 ** 20)).flatMap(({ payload }) =>
    Buffer.from(payload).toString().trim().split('\n'),
  );
  const sent = await state.list(DEFAULT_TENANT, 'sent');
  const left = await state.list(DEFAULT_TENANT, 'triggers', ['hot', 'out']);
  await catalog.close();
  return { lines, sent, left, reports: [...reports].sort(), calls, dead };
}

const told = (lines: readonly string[]): string[] =>
  lines.map((line) => {
    const { time, status, label } = JSON.parse(line) as Record<string, string>;
    return `${time!.slice(14, 16)} ${status} ${label}`;
  });

describe('a crash at any call', () => {
  it('fires nothing twice and forgets nothing', async () => {
    const whole = await story(0, false);
    expect(told(whole.lines)).toEqual([
      ...['02 firing station=a', '03 firing station=b', '04 resolved station=a', '05 firing station=a'],
      ...['05 resolved station=b', '07 resolved station=a', '07 firing station=b', '08 resolved station=b'],
    ]);
    expect(whole).toMatchObject({ left: [], reports: { length: 4 }, sent: { length: 12 } });
    for (const isDone of [false, true]) {
      for (let dieAt = 1; dieAt <= whole.calls; dieAt += 1) {
        const { lines, sent, left, reports, dead } = await story(dieAt, isDone);
        const where = `call ${dieAt}${isDone ? ', carried out' : ''}`;
        expect(dead, where).toBe(1);
        // A stream stores an id once.
        expect([...new Set(lines)], where).toEqual(whole.lines);
        expect({ sent, left, reports }, where).toEqual({
          ...{ sent: whole.sent, left: [] },
          reports: whole.reports,
        });
      }
    }
  });
});
