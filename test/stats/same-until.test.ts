import { describe, expect, it } from 'vitest';
import type { StatsRequest } from '../../src/stats/index.ts';
import { parseQuestion } from '../../src/stats/parse.ts';
import { sameUntil } from '../../src/stats/same-until.ts';
import { stream } from './fixture.ts';

const NOW = Date.parse('2024-05-15T12:34:56.789Z');
const until = (request: StatsRequest): number =>
  sameUntil(request, stream, parseQuestion(request, stream, NOW), NOW);

describe('how long a question means the same rows', () => {
  it.each<StatsRequest>([
    { from: '-1h' },
    { from: '-1h', to: 'now' },
    { from: '2024-05-01', to: 'now' },
    { from: '2024-05-01', to: 'now-1h' },
    { from: '-1mo', to: '2024-05-20' },
    { from: '2024-05-01', to: '2024-05-02', where: ['seen:gt:-1d'] },
    { from: '2024-05-01', to: '2024-05-02', where: ['seen:in:2024-05-01,now'] },
    { from: '2024-05-01', fn: ['count', 'rate'] },
  ])('$from to $to: until the next millisecond', (request) => {
    expect(until(request)).toBe(NOW + 1);
  });

  it.each<StatsRequest>([
    { from: '2024-05-01', to: '2024-05-02' },
    { from: '2024-05-01', to: '2025-05-02', fn: ['rate'], every: '1h' },
    { to: '1715000000000' },
    { from: '2024-05-01', to: '2024-05-02', tz: 'Europe/Berlin', every: '1d', where: ['city:eq:now'] },
  ])('a range that is written out means the same for good', (request) => {
    expect(until(request)).toBe(Number.POSITIVE_INFINITY);
  });

  it('without an end: until the last bucket is over', () => {
    expect(until({ from: '2024-05-15', every: '1m' })).toBe(Date.parse('2024-05-15T12:35:00Z'));
    expect(until({ from: '2024-05-01', every: '1d', tz: 'Asia/Kolkata' })).toBe(
      Date.parse('2024-05-15T18:30:00Z'),
    );
  });

  it('without an end and buckets: until another day is planned for', () => {
    expect(until({ from: '2024-05-01' })).toBe(Date.parse('2024-05-16T00:00:00Z'));
    expect(until({})).toBe(Date.parse('2024-05-16T00:00:00Z'));
  });
});
