/**
 * Log, ingest, dedup and commit over a faulty disk and a store with the engine's weaknesses, moved by one seeded
 * scheduler. Each seed is another history of crashes, power cuts, failures, retries, duplicates, late events, changes
 * of definitions and jumps of the clock.
 *
 *   MILLRACE_SIMULATION_SEEDS=20000   how many seeds
 *   MILLRACE_SIMULATION_FROM=5000     the first one
 *   MILLRACE_SIMULATION_SEED=4711     only this one, with everything that happened
 */
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { type Report, runSeed } from './run.ts';

const SEEDS = Number(process.env.MILLRACE_SIMULATION_SEEDS ?? 2_000);
const FROM = Number(process.env.MILLRACE_SIMULATION_FROM ?? 0);
const ONLY = process.env.MILLRACE_SIMULATION_SEED;
const FAILURES_TOLD_MAX = 5;
const MUTANT_SEEDS_MAX = 400;
const TIMEOUT_MS = 60_000 + SEEDS * 200;

const told = ({ seed, violation }: Report): string =>
  `seed ${seed}: ${violation?.message}\n  MILLRACE_SIMULATION_SEED=${seed} npx vitest run test/simulation/simulation.test.ts`;

/** Lets whoever waits for this process (the runner of the tests) have a word. */
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.skipIf(ONLY === undefined)('one seed', () => {
  it(`seed ${ONLY} keeps every promise`, { timeout: TIMEOUT_MS }, async () => {
    const lines: string[] = [];
    const { violation } = await runSeed(Number(ONLY), { trace: (line) => lines.push(line) });
    process.stdout.write(`${lines.join('\n')}\n`);
    expect(violation).toBeUndefined();
  });
});

describe.skipIf(ONLY !== undefined)('the simulation', () => {
  it(`finds no broken promise in ${SEEDS} histories`, { timeout: TIMEOUT_MS }, async () => {
    const failed: Report[] = [];
    const sums = { steps: 0, crashes: 0, records: 0 };
    for (let seed = FROM; seed < FROM + SEEDS && failed.length < FAILURES_TOLD_MAX; seed += 1) {
      const report = await runSeed(seed);
      if (report.violation) failed.push(report);
      sums.steps += report.steps;
      sums.crashes += report.crashes;
      sums.records += report.records;
      await pause();
    }
    expect(failed.map(told)).toEqual([]);
    // It is no proof of anything when nothing happens in it.
    expect(sums.crashes).toBeGreaterThan(SEEDS);
    expect(sums.records).toBeGreaterThan(10 * SEEDS);
  });

  it('replays a seed exactly', { timeout: TIMEOUT_MS }, async () => {
    for (let seed = FROM; seed < FROM + 50; seed += 1) {
      const [first, second] = [await runSeed(seed), await runSeed(seed)];
      expect(second).toEqual(first);
      await pause();
    }
  });

  it.each(Object.entries(MUTANTS))('notices when %s', { timeout: TIMEOUT_MS }, async (_name, mutation) => {
    let found: Report | undefined;
    for (let seed = 0; seed < MUTANT_SEEDS_MAX && !found; seed += 1) {
      const report = await runSeed(seed, { mutation });
      if (report.violation) found = report;
      await pause();
    }
    expect(found?.violation, `in ${MUTANT_SEEDS_MAX} seeds`).toBeDefined();
  });
});
