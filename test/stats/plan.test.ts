import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import type { RollupDefinition } from '../../src/define/model.ts';
import { bucketStarts } from '../../src/stats/calendar.ts';
import { parseQuestion } from '../../src/stats/parse.ts';
import { type Plan, planQuestion } from '../../src/stats/plan.ts';
import type { StatsRequest } from '../../src/stats/port.ts';
import { toSql } from '../../src/stats/statement.ts';
import { rollup, stream, versioned } from './fixture.ts';

const at = (text: string): number => Date.parse(`2024-${text}Z`);

function plan(request: StatsRequest, rollups: readonly RollupDefinition[]): Plan {
  const question = parseQuestion(request, stream, at('12-01T00:00:00'));
  const { fromMs = 0, toMs, every, zone } = question;
  const starts = every ? bucketStarts(every, fromMs, toMs, zone) : [];
  return planQuestion({ stream, question, fromMs, toMs, starts, rollups: rollups.map(versioned) });
}

const pieces = (made: Plan): string[] =>
  made.pieces.map(
    ({ tierSeconds, fromMs, toMs }) =>
      `${tierSeconds ?? 'events'} ${new Date(fromMs).toISOString().slice(5, 23)} ${new Date(toMs).toISOString().slice(5, 23)}`,
  );

const minutes = rollup('minutes', ['kind'], 60);

describe('the plan', () => {
  it('takes the widest tier in the middle, finer ones at the ends, events at last', () => {
    const made = plan({ from: '2024-01-01T22:58:30.500Z', to: '2024-01-04T01:01:00Z' }, [minutes]);
    expect(pieces(made)).toEqual([
      'events 01-01T22:58:30.500 01-01T22:59:00.000',
      '60 01-01T22:59:00.000 01-01T23:00:00.000',
      '3600 01-01T23:00:00.000 01-02T00:00:00.000',
      '86400 01-02T00:00:00.000 01-04T00:00:00.000',
      '3600 01-04T00:00:00.000 01-04T01:00:00.000',
      '60 01-04T01:00:00.000 01-04T01:01:00.000',
    ]);
    expect(made.source).toBe('rollup minutes + events');
  });

  it('uses no tier whose buckets straddle the buckets of the answer', () => {
    const days = { from: '2024-01-01', to: '2024-01-11', every: '1d' };
    const widest = (tz: string) =>
      Math.max(...plan({ ...days, tz }, [minutes]).pieces.map((piece) => piece.tierSeconds ?? 0));
    expect(widest('UTC')).toBe(86_400);
    expect(widest('Europe/Berlin')).toBe(3_600);
    expect(widest('Asia/Kolkata')).toBe(60);
    expect(plan({ ...days, tz: 'Asia/Kathmandu' }, [rollup('hours', [], 3_600)]).source).toBe('events');
  });

  it('passes over rollups that lack a dimension, a condition, a state or a large enough sketch', () => {
    const range = { from: '2024-01-01', to: '2024-01-11' };
    const source = (request: StatsRequest, one = minutes) => plan({ ...range, ...request }, [one]).source;
    expect(source({ by: 'kind' })).toBe('rollup minutes');
    expect(source({ by: 'city' })).toBe('events');
    expect(source({ where: ['kind:eq:a'] })).toBe('rollup minutes');
    expect(source({ where: ['ok:eq:true'] })).toBe('events');
    expect(source({ fn: ['sum(size)', 'avg(price)', 'p99(score)'] })).toBe('rollup minutes');
    expect(source({ fn: ['max(size)'] })).toBe('events');
    expect(source({ fn: ['top(city,20)', 'top(city,3)'] })).toBe('rollup minutes');
    expect(source({ fn: ['top(city,21)'] })).toBe('events');
    expect(source({ fn: ['rate'] }, rollup('bare', [], 60, [{ fn: 'count' }]))).toBe('rollup bare');
  });

  it('prefers the smallest rollup, but not one that leaves the work to the events', () => {
    const range = { from: '2024-01-01', to: '2024-01-11' };
    const total = rollup('total', [], 3_600);
    const fine = rollup('fine', ['kind', 'city'], 1);
    expect(plan(range, [fine, minutes, total]).source).toBe('rollup total');
    expect(plan({ ...range, by: 'kind' }, [fine, minutes, total]).source).toBe('rollup minutes');
    const quarter = { from: '2024-01-01T00:10:00Z', to: '2024-01-01T00:25:00Z' };
    expect(plan(quarter, [fine, minutes, total]).source).toBe('rollup minutes');
  });
});

describe('the statement', () => {
  const sql = (request: StatsRequest, rollups: readonly RollupDefinition[]) => {
    const question = parseQuestion(request, stream, 0);
    const { fromMs = 0, toMs, every, zone } = question;
    const starts = every ? bucketStarts(every, fromMs, toMs, zone) : [];
    const made = planQuestion({ stream, question, fromMs, toMs, starts, rollups: rollups.map(versioned) });
    return toSql({ tenant: DEFAULT_TENANT, stream, question, plan: made, starts, order: [], rowsMax: 10 });
  };

  it('merges the states of a rollup and of the events, and binds every value that was asked for', () => {
    const { text, params } = sql(
      { fn: ['avg(price)'], from: '0', to: '90000', every: '1m', where: ['kind:eq:b'] },
      [minutes],
    );
    expect(
      text,
    ).toBe(`SELECT [toJSONString(_b), toJSONString(if(\`m.n.price\` = 0, NULL, toFloat64(\`m.sum.price\`) / \`m.n.price\`))] AS row FROM (
SELECT _b, sum(\`_count\`) AS \`m._count\`, sum(\`sum.price\`) AS \`m.sum.price\`, sum(\`n.price\`) AS \`m.n.price\` FROM (
SELECT toInt64(_bucket * 1000 - positiveModulo(_bucket * 1000, {p0:Int64})) AS _b, \`_count\` AS \`_count\`, \`sum.price\` AS \`sum.price\`, \`n.price\` AS \`n.price\` FROM \`t_default\`.\`rollup_minutes_v1\` WHERE (_tier = 60 AND _period >= 0 AND _period <= 0) AND _bucket >= 0 AND _bucket < 60 AND \`kind\` = {p1:String}
UNION ALL
SELECT toInt64(toUnixTimestamp64Milli(_time) - positiveModulo(toUnixTimestamp64Milli(_time), {p0:Int64})) AS _b, sum(toUInt64(1)) AS \`_count\`, sum(ifNull(CAST(\`price\`, 'Nullable(Decimal(38, 4))'), CAST(0, 'Decimal(38, 4)'))) AS \`sum.price\`, sum(toUInt64(isNotNull(\`price\`))) AS \`n.price\` FROM \`t_default\`.\`events_visits\` WHERE _time >= fromUnixTimestamp64Milli({p2:Int64}, 'UTC') AND _time < fromUnixTimestamp64Milli({p3:Int64}, 'UTC') AND \`kind\` = {p1:String} GROUP BY _b
) GROUP BY _b
) LIMIT 10 SETTINGS max_result_bytes = 67108864, result_overflow_mode = 'throw'`);
    expect(params).toEqual({
      p0: 60_000,
      p1: 'b',
      p2: 60_000,
      p3: 90_000,
    });
  });

  it('pastes no value into its text', () => {
    const { text } = sql(
      { fn: ['count'], from: '0', to: '1000', where: ["city:eq:'); DROP TABLE x --", 'city:in:a`b,\\'] },
      [],
    );
    expect(text).not.toContain('DROP');
    expect(text).not.toContain('a`b');
  });
});
