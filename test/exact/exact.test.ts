import { parse, stringify } from 'lossless-json';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHistory, type History } from './history.ts';

const HISTORIES = Number(process.env.MILLRACE_TEST_HISTORIES ?? 1);
const FIRST = Number(process.env.MILLRACE_TEST_SEED ?? 1);
const STEPS = 8;

let history: History;
beforeAll(async () => {
  history = await createHistory();
});
afterAll(() => history.close());

const text = (rowsJson: string): string => stringify(parse(rowsJson))!;

describe('an answer, whatever happened to the stream before', () => {
  it('is the same from memory, kept, asked together, from rollups, from events, and by a plain loop', async () => {
    for (let seed = FIRST; seed < FIRST + HISTORIES; seed += 1) {
      await history.begin(seed);
      for (let step = 0; step < STEPS; step += 1) {
        const what = await history.step();
        for (const { ways, expected, about } of await history.questions()) {
          for (const [way, rowsJson] of Object.entries(ways))
            expect(text(rowsJson), `seed ${seed}, step ${step} (${what}), ${way}: ${about}`).toBe(expected);
        }
      }
    }
    // A version that is replaced while memory is about to read it is told, and harms nothing.
    expect(history.failures.filter((one) => !/Unknown table|does not exist/.test(String(one)))).toEqual([]);
    // The comparison would be idle if one of them were never used.
    const { fromMemory, kept, batched, fromRollups, asked } = history.used;
    if (process.env.MILLRACE_TEST_HISTORIES) process.stderr.write(`${JSON.stringify(history.used)}\n`);
    expect(Math.min(fromMemory, kept, batched, fromRollups)).toBeGreaterThan(asked / 100);
  }, 3_600_000);
});
