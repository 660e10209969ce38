import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { Flights } from '../../src/stats/flights.ts';

/** A computation that is ended by hand. */
function computation() {
  let settle!: { resolve(value: string): void; reject(error: unknown): void };
  let signal!: AbortSignal;
  const compute = (end: AbortSignal) => {
    signal = end;
    return new Promise<string>((resolve, reject) => {
      settle = { resolve, reject };
    });
  };
  return {
    compute,
    finish: (value: string) => settle.resolve(value),
    fail: (error: unknown) => settle.reject(error),
    signal: () => signal,
  };
}

const T = DEFAULT_TENANT;

describe('single flight', () => {
  it('everybody gets the one answer, and afterwards nothing is under way', async () => {
    const flights = new Flights<string, string>();
    const one = computation();
    const flight = flights.begin(T, 'q', 'facts', one.compute);
    const answers = [1, 2, 3].map(() => flights.join(T, 'q', flights.find(T, 'q')!, undefined));
    one.finish('42');
    expect(await Promise.all(answers)).toEqual(['42', '42', '42']);
    expect(flight.facts).toBe('facts');
    expect(flights.find(T, 'q')).toBeUndefined();
  });

  it('who leaves does not end it for the others', async () => {
    const flights = new Flights<string, string>();
    const one = computation();
    const flight = flights.begin(T, 'q', '', one.compute);
    const gone = new AbortController();
    const first = flights.join(T, 'q', flight, gone.signal);
    const second = flights.join(T, 'q', flight, new AbortController().signal);
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 'query-timeout' });
    expect(one.signal().aborted).toBe(false);
    one.finish('42');
    expect(await second).toBe('42');
  });

  it('when the last has left it is ended, and the next begins anew', async () => {
    const flights = new Flights<string, string>();
    const one = computation();
    const flight = flights.begin(T, 'q', '', one.compute);
    const gone = new AbortController();
    const both = [gone.signal, gone.signal].map((signal) => flights.join(T, 'q', flight, signal));
    gone.abort();
    await Promise.allSettled(both);
    expect(one.signal().aborted).toBe(true);
    expect(flights.find(T, 'q')).toBeUndefined();
    one.fail(new Error('ended'));
    const late = new AbortController();
    late.abort();
    await expect(
      flights.join(T, 'q', flights.begin(T, 'q', '', computation().compute), late.signal),
    ).rejects.toThrow();
  });

  it('a failure reaches all who wait, and is forgotten', async () => {
    const flights = new Flights<string, string>();
    const one = computation();
    const flight = flights.begin(T, 'q', '', one.compute);
    const both = [1, 2].map(() => flights.join(T, 'q', flight, undefined));
    one.fail(new Error('broken'));
    for (const each of both) await expect(each).rejects.toThrow('broken');
    expect(flights.find(T, 'q')).toBeUndefined();
  });

  it('one that was begun later is not forgotten with the earlier one', async () => {
    const flights = new Flights<string, string>();
    const [one, two] = [computation(), computation()];
    const first = flights.join(T, 'q', flights.begin(T, 'q', '', one.compute), undefined);
    const later = flights.begin(T, 'q', '', two.compute);
    one.finish('old');
    expect(await first).toBe('old');
    expect(flights.find(T, 'q')).toBe(later);
    two.finish('new');
    expect(await flights.join(T, 'q', later, undefined)).toBe('new');
  });
});
