import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LINES_PER_REQUEST, survive } from '../support/producers.ts';
import { seeded } from '../support/seeded.ts';

/** Kills at random, and how often each labelled step is died at. More of both where there is time. */
const KILLS = Number(process.env.MILLRACE_TEST_KILLS ?? 20);
const ROUNDS = Number(process.env.MILLRACE_TEST_KILL_ROUNDS ?? 1);
const DYING = resolve(import.meta.dirname, '../support/dying-server.mjs');

/** Every step of the write path at which the process may die, as `dying-server.mjs` knows them. */
const STEPS = [
  ...['before write', 'torn write', 'written', 'synced'].map((at) => `log: ${at}`),
  ...['before write', 'written'].map((at) => `scratch: ${at}`),
  ...['stage', 'events', 'quarantine', 'discarded', 'rollup'].flatMap((table) =>
    ['before', 'during', 'after'].map((at) => `${table}: ${at}`),
  ),
  ...['manifest', 'position'].flatMap((file) =>
    ['before write', 'torn write', 'written', 'synced', 'before rename', 'renamed', 'durable'].map(
      (at) => `${file}: ${at}`,
    ),
  ),
  'clear: before',
  'clear: after',
];

describe('the real process', () => {
  it(`loses nothing accepted and counts nothing twice through ${KILLS} kills at random`, async () => {
    const random = seeded(20_240_101);
    const { stored } = await survive({
      lives: KILLS,
      happens: () => new Promise((done) => setTimeout(done, 30 + random() * 700)),
    });
    expect(stored).toBeGreaterThan(KILLS * LINES_PER_REQUEST);
  }, 1_800_000);

  it(`the same when it dies at each of ${STEPS.length} steps of the write path, ${ROUNDS} times`, async () => {
    const random = seeded(20_240_102);
    const deaths = Array.from({ length: ROUNDS }, () => STEPS).flat();
    let next = 0;
    const missed: string[] = [];
    await survive({
      lives: deaths.length,
      options: () => {
        const step = deaths[next]!;
        next += 1;
        return {
          program: [DYING],
          env: {
            DIE_AT: `${step}#${1 + Math.floor(random() * 4)}`,
            DIE_AFTER_MS: String(Math.floor(random() * 15)),
          },
        };
      },
      happens: async (server) => {
        const patience = new Promise<'alive'>((done) => setTimeout(() => done('alive'), 20_000).unref());
        if ((await Promise.race([server.ended, patience])) === 'alive') missed.push(deaths[next - 1]!);
      },
    });
    expect(missed, 'steps that were never reached').toEqual([]);
  }, 1_800_000);
});
