import { describe, expect, it } from 'vitest';
import { bucketEnd, bucketStarts, parseEvery } from '../../src/stats/calendar.ts';
import { parseMoment } from '../../src/stats/time.ts';

const starts = (every: string, from: string, to: string, zone: string): string[] =>
  bucketStarts(parseEvery(every)!, Date.parse(from), Date.parse(to), zone).map((ms) =>
    new Date(ms).toISOString().replace(':00.000Z', 'Z'),
  );

const hours = (list: readonly string[]): number[] =>
  list.slice(1).map((text, index) => (Date.parse(text) - Date.parse(list[index]!)) / 3_600_000);

describe('buckets', () => {
  it('shorter than a day count from the epoch in UTC, whatever the zone', () => {
    expect(starts('1h', '2024-03-31T00:30:00Z', '2024-03-31T03:00:00Z', 'Asia/Kolkata')).toEqual([
      '2024-03-31T00:00Z',
      '2024-03-31T01:00Z',
      '2024-03-31T02:00Z',
    ]);
    expect(starts('7s', '1969-12-31T23:59:58Z', '1970-01-01T00:00:07Z', 'UTC')).toHaveLength(2);
  });

  it('of a day have 23 and 25 hours when Berlin changes its clocks', () => {
    const spring = starts('1d', '2024-03-29T23:00:00Z', '2024-04-01T22:00:00Z', 'Europe/Berlin');
    expect(spring).toEqual(['2024-03-29T23:00Z', '2024-03-30T23:00Z', '2024-03-31T22:00Z']);
    expect(hours(spring)).toEqual([24, 23]);
    const autumn = starts('1d', '2024-10-26T00:00:00Z', '2024-10-29T00:00:00Z', 'Europe/Berlin');
    expect(hours(autumn)).toEqual([24, 25, 24]);
  });

  it('of a day begin at 01:00 where São Paulo skipped midnight', () => {
    // On 2017-10-15 the clocks went from 00:00 (-03) to 01:00 (-02).
    const days = starts('1d', '2017-10-14T03:00:00Z', '2017-10-17T00:00:00Z', 'America/Sao_Paulo');
    expect(days).toEqual(['2017-10-14T03:00Z', '2017-10-15T03:00Z', '2017-10-16T02:00Z']);
    expect(hours(days)).toEqual([24, 23]);
  });

  it('of a day have 24.5 hours when Lord Howe sets its clocks back by half an hour', () => {
    // On 2024-04-07 at 02:00 (+11) it became 01:30 (+10:30).
    const days = starts('1d', '2024-04-05T13:00:00Z', '2024-04-08T13:30:00Z', 'Australia/Lord_Howe');
    expect(days).toEqual(['2024-04-05T13:00Z', '2024-04-06T13:00Z', '2024-04-07T13:30Z']);
    expect(hours(days)).toEqual([24, 24.5]);
  });

  it('of a day begin on the half hour in Kolkata and a quarter before the hour in Kathmandu', () => {
    const [from, to] = ['2024-01-01T12:00:00Z', '2024-01-02T20:00:00Z'];
    expect(starts('1d', from, to, 'Asia/Kolkata')).toEqual([
      '2023-12-31T18:30Z',
      '2024-01-01T18:30Z',
      '2024-01-02T18:30Z',
    ]);
    expect(starts('1d', from, to, 'Asia/Kathmandu')).toEqual([
      '2023-12-31T18:15Z',
      '2024-01-01T18:15Z',
      '2024-01-02T18:15Z',
    ]);
  });

  it('do not exist for a date that a zone skipped', () => {
    // Samoa had no 2011-12-30.
    expect(starts('1d', '2011-12-29T10:00:00Z', '2012-01-01T10:00:00Z', 'Pacific/Apia')).toEqual([
      '2011-12-29T10:00Z',
      '2011-12-30T10:00Z',
      '2011-12-31T10:00Z',
    ]);
  });

  it('of a week begin on Monday, of a month on the first', () => {
    expect(starts('1w', '2024-01-03T00:00:00Z', '2024-01-16T00:00:00Z', 'UTC')).toEqual([
      '2024-01-01T00:00Z',
      '2024-01-08T00:00Z',
      '2024-01-15T00:00Z',
    ]);
    expect(starts('1mo', '2024-02-10T00:00:00Z', '2024-05-01T00:00:00Z', 'Europe/Berlin')).toEqual([
      '2024-01-31T23:00Z',
      '2024-02-29T23:00Z',
      '2024-03-31T22:00Z',
      '2024-04-30T22:00Z',
    ]);
    expect(starts('3mo', '2024-02-10T00:00:00Z', '2024-08-01T00:00:00Z', 'UTC')).toEqual([
      '2024-01-01T00:00Z',
      '2024-04-01T00:00Z',
      '2024-07-01T00:00Z',
    ]);
  });

  it('of several days keep their places whatever the range', () => {
    const whole = starts('3d', '2024-01-01T00:00:00Z', '2024-03-01T00:00:00Z', 'UTC');
    expect(whole).toEqual(
      expect.arrayContaining(starts('3d', '2024-01-20T00:00:00Z', '2024-02-01T00:00:00Z', 'UTC')),
    );
  });

  it('end where the next one begins', () => {
    const day = parseEvery('1d')!;
    expect(bucketEnd(day, Date.parse('2024-03-30T23:00:00Z'), 'Europe/Berlin')).toBe(
      Date.parse('2024-03-31T22:00:00Z'),
    );
  });

  it('have a width that makes sense', () => {
    for (const text of ['0s', '1', 'h', '1y', '-1h', '1.5h', '1ms', '99999999d']) {
      expect(parseEvery(text)).toBeUndefined();
    }
  });
});

describe('a moment', () => {
  const now = Date.parse('2024-03-31T12:00:00Z');
  const read = (text: string, zone = 'UTC'): string | undefined => {
    const ms = parseMoment(text, now, zone);
    return ms === undefined ? undefined : new Date(ms).toISOString();
  };

  it('is read in every form', () => {
    expect(read('2024-01-31T12:00:00.5+02:00')).toBe('2024-01-31T10:00:00.500Z');
    expect(read('2024-01-31T12:00:00 02:00')).toBe('2024-01-31T10:00:00.000Z');
    expect(read('2024-01-31')).toBe('2024-01-31T00:00:00.000Z');
    expect(read('1706700000000')).toBe('2024-01-31T11:20:00.000Z');
    expect(read('now')).toBe('2024-03-31T12:00:00.000Z');
    expect(read('-1h')).toBe('2024-03-31T11:00:00.000Z');
    expect(read('now-1h')).toBe('2024-03-31T11:00:00.000Z');
    expect(read('now+90m')).toBe('2024-03-31T13:30:00.000Z');
    expect(read('-1mo')).toBe('2024-02-29T12:00:00.000Z');
  });

  it('without an offset is local to the zone of the question', () => {
    expect(read('2024-03-31', 'Europe/Berlin')).toBe('2024-03-30T23:00:00.000Z');
    expect(read('2024-03-31T12:00', 'Europe/Berlin')).toBe('2024-03-31T10:00:00.000Z');
  });

  it('is nothing else', () => {
    for (const text of [
      '',
      'yesterday',
      '2024-13-01',
      '2024-02-30',
      '0001-01-01',
      '9999-12-31',
      '1e400',
      '-1x',
      '12:00',
    ]) {
      expect(read(text)).toBeUndefined();
    }
  });
});
