import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkStore, History } from '../support/check-store.ts';
import { define, LINES_PER_REQUEST, MONEY, PRODUCERS, Producer } from '../support/producers.ts';
import { seeded } from '../support/seeded.ts';
import {
  call,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

/** Kills at random, and how often each labelled step is died at. More of both where there is time. */
const KILLS = Number(process.env.MILLRACE_TEST_KILLS ?? 30);
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
    await through(KILLS, {}, async (server) => {
      await new Promise((done) => setTimeout(done, 30 + random() * 700));
      await server.end('SIGKILL');
    });
  }, 1_800_000);

  it(`the same when it dies at each of ${STEPS.length} steps of the write path, ${ROUNDS} times`, async () => {
    const random = seeded(20_240_102);
    const deaths = Array.from({ length: ROUNDS }, () => STEPS).flat();
    let next = 0;
    const missed: string[] = [];
    await through(
      deaths.length,
      {
        program: [DYING],
        env: () => {
          const step = deaths[next % deaths.length]!;
          next += 1;
          return {
            DIE_AT: `${step}#${1 + Math.floor(random() * 4)}`,
            DIE_AFTER_MS: String(Math.floor(random() * 15)),
          };
        },
      },
      async (server) => {
        const patience = new Promise<'alive'>((done) => setTimeout(() => done('alive'), 8_000).unref());
        if ((await Promise.race([server.ended, patience])) !== 'alive') return;
        missed.push(deaths[(next - 1) % deaths.length]!);
        await server.end('SIGKILL');
      },
    );
    expect(missed, 'steps that were never reached').toEqual([]);
  }, 1_800_000);
});

/** Producers send to one server after another, each of which dies; then to one that lives, and the store is checked. */
async function through(
  deaths: number,
  dying: { readonly program?: readonly string[]; readonly env?: () => Record<string, string> },
  die: (server: ServerProcess) => Promise<void>,
): Promise<void> {
  const directory = await temporaryDirectory();
  const history = new History();
  const producers = Array.from({ length: PRODUCERS }, (_, number) => new Producer(number, history));
  try {
    let server = await startServer(directory.path);
    await define(server);
    await server.end('SIGTERM');
    for (let death = 0; death < deaths; death += 1) {
      const { program, env } = dying;
      server = await startServer(directory.path, {
        ...(program ? { program } : {}),
        ...(env ? { env: env() } : {}),
      });
      let alive = true;
      const sending = producers.map((producer) => producer.sendWhile(server, () => alive));
      await die(server);
      alive = false;
      await Promise.all(sending);
    }
    server = await startServer(directory.path);
    const state = await settled(server, 'money');
    expect(state.accepted).toBe(state.stored + state.duplicates + state.quarantined + state.late_dropped);
    expect(state.stored).toBeGreaterThan(deaths * LINES_PER_REQUEST);
    expect(state.duplicates).toBeGreaterThan(0);
    const ledger = (await call(server, 'GET', '/v1/streams/money/ledger?every=1d&from=-2d')).json;
    expect(ledger, JSON.stringify(ledger)).toMatchObject({
      balanced: true,
      totals: { accepted: state.accepted, stored: state.stored, duplicates: state.duplicates },
    });
    expect(await server.end('SIGTERM')).toBe(0);
    await checkStore(directory.path, MONEY, history);
  } finally {
    await directory.remove();
  }
}
