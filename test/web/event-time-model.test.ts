import { describe, expect, it } from 'vitest';
import { bucketFinality } from '../../web/src/model/finality.ts';
import { parseExact, writeExact } from '../../web/src/model/json.ts';
import { align } from '../../web/src/model/range.ts';
import { momentOfForm, nextDueMs, parameterOf, scheduleText } from '../../web/src/model/report.ts';
import { rulesText } from '../../web/src/model/rules.ts';
import { actionsText, conditionText, firingSeries, sourceText } from '../../web/src/model/trigger.ts';
import { readView, writeView } from '../../web/src/model/view.ts';
import { measureFields, shapeText, topItems, windowSentences } from '../../web/src/model/window.ts';

const MINUTE = 60_000;

describe('a bucket of a chart', () => {
  const times = [0, MINUTE, 2 * MINUTE];
  const step = { next: (ms: number) => ms + MINUTE };
  const told = { version: null, late: null, duplicates: null };
  const of = (finality: 'open' | 'final' | null, watermarkMs: number | null, isTold = true) =>
    times.map((_, index) =>
      bucketFinality(times, step, { ...told, finality, watermarkMs }, isTold, new Set([0]))(index),
    );

  it('is final when the watermark has passed its end, not before, and corrected when late events came', () => {
    expect(of('open', 2 * MINUTE)).toEqual(['corrected', 'final', 'open']);
    expect(of('open', 2 * MINUTE - 1)).toEqual(['corrected', 'open', 'open']);
  });

  it('is open where there is no watermark yet, and unknown where the key is not told it', () => {
    expect(of('open', null)).toEqual(['open', 'open', 'open']);
    expect(of('open', null, false)).toEqual([undefined, undefined, undefined]);
    expect(of('final', null, false)).toEqual(['corrected', 'final', 'final']);
    expect(of(null, null)).toEqual([undefined, undefined, undefined]);
  });
});

describe('in words', () => {
  it('a stream says what it takes for late', () => {
    const rules = { delay: '5s', idle: '1m', source: 'station', allowed: '10m', then: 'drop' };
    expect(rulesText(rules)).toBe(
      'Events may come 5s out of order without being late. Each station has its own time; the one furthest behind counts. ' +
        'A source that is silent for 1m is not waited for. What comes more than 10m late is not counted.',
    );
    expect(rulesText({ ...rules, delay: '0s', idle: undefined, source: undefined, then: 'count' })).toBe(
      'Events are taken to come in order. A source that falls silent is waited for. What comes more than 10m late is counted all the same.',
    );
  });

  it('a window says its shape, its clock and what late events do', () => {
    const document = { tumbling: { size: '5m' }, by: ['station'], time: 'processing', early: '30s' };
    expect(shapeText(document)).toBe('tumbling 5m by station');
    expect(shapeText({ sliding: { size: '10m', slide: '5m' } })).toBe('sliding 10m, every 5m');
    expect(shapeText({ session: { gap: '2m' } })).toBe('sessions with gaps of 2m');
    expect(windowSentences({ ...document, where: 'value > 3' }, { allowed: '1m', then: 'drop' })).toBe(
      'Of events with value > 3. By the time of evaluation, told when it has passed their end, and every 30s before. ' +
        'Events that come later make a corrected version; those more than 1m late do not count.',
    );
    const measures = { n: 'count()', q: 'quantile(value)', best: 'top(item, 3)' };
    expect(measureFields({ measures }).map(({ field, kind }) => `${field} ${kind}`)).toEqual([
      ...['n number', 'q_p50 number', 'q_p90 number', 'q_p95 number', 'q_p99 number', 'best top'],
    ]);
    expect(topItems('[{"value":"a","count":18446744073709551615}]')).toEqual([
      { value: 'a', count: 18_446_744_073_709_551_615n },
    ]);
    expect(topItems('<b>')).toEqual([]);
  });

  it.each([
    [{ above: 20, clear: 10 }, 'alarms above 20, over at 10'],
    [{ below: 1 }, 'alarms below 1'],
    [{ absent: '10m' }, 'alarms absent for 10m'],
    [{ changes: { by: 0.5, within: '1h' } }, 'alarms changes by 0.5 of itself within 1h'],
    [{ deviates: { factor: 3, weeks: 4 } }, 'alarms 3 deviations from its last 4 weeks'],
  ])('a trigger says when it fires: %o', (when, words) => {
    expect(conditionText({ measure: 'alarms', when, for: '0ms' })).toBe(words);
  });

  it('a trigger says where it looks and what it does', () => {
    expect(sourceText({ on: { stream: 'orders', over: '5m', every: '1m', where: ['a:eq:1'] } })).toBe(
      'stream orders over 5m, every 1m where a:eq:1',
    );
    expect(actionsText({ do: [{ report: 'daily' }, { email: ['a@b.example'] }] })).toBe(
      'runs the report daily, mails a@b.example',
    );
  });

  it('a report says when it runs, and reads what a form says', () => {
    expect(scheduleText({ cron: '0 0 * * *', tz: 'Europe/Berlin', delay: '5m' })).toBe(
      '0 0 * * * (Europe/Berlin), 5m later',
    );
    expect(nextDueMs({ cron: '30 2 * * *', tz: 'Europe/Berlin' }, Date.UTC(2026, 2, 1))).toBe(
      Date.UTC(2026, 2, 1, 1, 30),
    );
    expect([nextDueMs({}, 0), nextDueMs({ cron: 'never' }, 0)]).toEqual([null, null]);
    expect(scheduleText({})).toBe('on demand and by triggers');
    expect([momentOfForm('2026-03-01T12:00'), momentOfForm('')]).toEqual([
      '2026-03-01T12:00:00.000Z',
      undefined,
    ]);
    expect([
      parameterOf(5, '7'),
      parameterOf(5, 'x'),
      parameterOf(true, 'false'),
      parameterOf('', '7'),
    ]).toEqual([7, 'x', false, '7']);
  });
});

it('firings of a dry run count in each bucket in which they were on', () => {
  const firing = (firedMs: number, resolvedMs: number | null) => ({
    ...{ key: '', label: '', sinceMs: null, value: 1, firedMs, resolvedMs },
  });
  const run = { fromMs: 0, toMs: 5 * MINUTE, observations: 0, isCut: false };
  const { range, times, values } = firingSeries({
    ...run,
    firings: [firing(0, MINUTE), firing(MINUTE, null)],
  });
  expect(range.step).toBe(align(0, 5 * MINUTE).step);
  const at = (ms: number) => values[times.indexOf(ms)];
  expect([at(0), at(MINUTE - 10_000), at(MINUTE), at(5 * MINUTE - 10_000)]).toEqual([1, 1, 1, 1]);
  expect(values.reduce((sum, value) => sum + value, 0)).toBe(times.length);
});

it('numbers of an answer go back as they came', () => {
  const text = '{"unit":18446744073709551615,"share":0.10000000000000000001,"n":1,"none":null}';
  expect(writeExact(parseExact(text))).toBe(text);
});

it('the address keeps the page, and what is looked at in it', () => {
  const view = { page: 'windows', tenant: 'acme', name: 'a&b', group: '#1', field: 'n' } as const;
  expect(readView(writeView(view))).toEqual(view);
  expect(readView('#page=elsewhere')).toEqual({});
});
