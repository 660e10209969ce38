import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../../src/define/model.ts';
import { tiersOf } from '../../src/define/model.ts';
import {
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  quoteIdentifier,
  rollupDelta,
  rollupStates,
  rollupTable,
} from '../../src/store/index.ts';
import {
  call,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

const KILLS = 30;
const PRODUCERS = 4;
const LINES_PER_REQUEST = 40;

const STREAM = {
  fields: {
    id: 'uint64',
    at: 'timestamp',
    kind: { type: 'enum', values: ['a', 'b', 'c'] },
    amount: 'int64',
  },
  eventId: 'id',
  eventTime: 'at',
  dedupe: { within: '1h' },
};
const ROLLUP = {
  from: 'money',
  by: ['kind'],
  every: '10s',
  measures: { n: 'count()', total: 'sum(amount)', typical: 'quantile(amount)', who: 'unique(id)' },
};

/** A generator that gives the same numbers for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What the outside saw: which events were promised, and which may or may not have made it. */
class History {
  readonly acknowledged = new Set<number>();
  readonly offered = new Set<number>();
  readonly badAcknowledged = new Set<string>();
  readonly badOffered = new Set<string>();
}

/** Sends until the server dies; every request without an answer is kept and sent again, with the same ids, to the next server. */
class Producer {
  readonly #number: number;
  readonly #random: () => number;
  readonly #history: History;
  #next = 0;
  #unanswered: { readonly body: string; readonly ids: number[]; readonly bad: string[] } | undefined;

  constructor(number: number, history: History) {
    this.#number = number;
    this.#random = seeded(1_000 + number);
    this.#history = history;
  }

  async sendWhile(server: ServerProcess, alive: () => boolean): Promise<void> {
    while (alive()) {
      this.#unanswered ??= this.#make();
      const { body, ids, bad } = this.#unanswered;
      for (const id of ids) this.#history.offered.add(id);
      for (const marker of bad) this.#history.badOffered.add(marker);
      try {
        const reply = await call(server, 'POST', '/v1/streams/money/events', body, {
          'content-type': 'application/x-ndjson',
        });
        if (reply.status === 429 || reply.status === 503) continue;
        expect(reply.status, reply.text).toBe(202);
        for (const id of ids) this.#history.acknowledged.add(id);
        for (const marker of bad) this.#history.badAcknowledged.add(marker);
        this.#unanswered = undefined;
      } catch (error) {
        if (error instanceof TypeError) return;
        throw error;
      }
    }
  }

  #make(): { body: string; ids: number[]; bad: string[] } {
    const ids: number[] = [];
    const bad: string[] = [];
    let body = '';
    for (let i = 0; i < LINES_PER_REQUEST; i += 1) {
      // A tenth of the events were sent before, by this producer; out of order, some of them years late.
      const again = this.#next > 0 && this.#random() < 0.1;
      const id = (again ? Math.floor(this.#random() * this.#next) : this.#next++) * PRODUCERS + this.#number;
      const at =
        this.#random() < 0.01
          ? '1999-12-31T23:59:59.999Z'
          : new Date(Date.UTC(2024, 0, 1) + (id % 86_400) * 250).toISOString();
      body += `{"id":${id},"at":"${at}","kind":"${'abc'[id % 3]}","amount":${(id % 1_000) - 300}}\n`;
      ids.push(id);
    }
    if (this.#random() < 0.3) {
      const marker = `bad-${this.#number}-${this.#next}`;
      body += `{"id":"${marker}","at":0}\n`;
      bad.push(marker);
    }
    return { body, ids, bad };
  }
}

async function checkStore(directory: string, history: History): Promise<void> {
  const stream: StreamDefinition = parseStream('money', STREAM);
  const rollup: RollupDefinition = parseRollup('money_by_kind', ROLLUP, () => stream);
  const engine = openChdb({ directory: `${directory}/store` });
  try {
    const twice = await engine.rows({
      text: `SELECT id, count() AS times FROM ${eventsTable(DEFAULT_TENANT, 'money')} GROUP BY id HAVING times > 1 LIMIT 10`,
    });
    expect(twice, 'stored more than once').toEqual([]);
    const stored = new Set(
      (
        await engine.rows<{ id: string }>({ text: `SELECT id FROM ${eventsTable(DEFAULT_TENANT, 'money')}` })
      ).map((row) => Number(row.id)),
    );
    expect(
      [...history.acknowledged].filter((id) => !stored.has(id)),
      'acknowledged but not stored',
    ).toEqual([]);
    expect(
      [...stored].filter((id) => !history.offered.has(id)),
      'stored but never sent',
    ).toEqual([]);

    const bad = (
      await engine.rows<{ line: string }>({
        text: `SELECT line FROM ${quarantineTable(DEFAULT_TENANT, 'money')}`,
      })
    ).map((row) => /bad-\d+-\d+/.exec(row.line)![0]);
    expect(
      [...history.badAcknowledged].filter((marker) => !bad.includes(marker)),
      'acknowledged but not in quarantine',
    ).toEqual([]);
    await expectRollupEqualsRaw(engine, stream, rollup);
  } finally {
    await engine.close();
  }
}

/** Every bucket of every tier, finalised, from the table and from the events: no row may differ. */
async function expectRollupEqualsRaw(
  engine: Engine,
  stream: StreamDefinition,
  rollup: RollupDefinition,
): Promise<void> {
  const states = rollupStates(stream, rollup);
  const finalised = states.map((state) =>
    state.type.startsWith('Simple') ? state.merge : `finalizeAggregation(${state.merge})`,
  );
  const columns = ['_tier', '_bucket', ...rollup.by.map(quoteIdentifier)].join(', ');
  const fold = (source: string) =>
    `SELECT ${columns}, tuple(${finalised.join(', ')}) AS numbers FROM ${source} WHERE _tier != 0 GROUP BY ${columns}`;
  const kept = fold(rollupTable(DEFAULT_TENANT, rollup.name, 1));
  const recomputed = fold(`(${rollupDelta(stream, rollup, eventsTable(DEFAULT_TENANT, stream.name))})`);
  const different = await engine.rows({
    text: `SELECT * FROM (SELECT * FROM ((${kept}) EXCEPT (${recomputed})) UNION ALL SELECT * FROM ((${recomputed}) EXCEPT (${kept}))) LIMIT 5`,
  });
  expect(different, 'rollup differs from raw').toEqual([]);
  const tiers = await engine.rows<{ tier: number }>({
    text: `SELECT DISTINCT _tier AS tier FROM ${rollupTable(DEFAULT_TENANT, rollup.name, 1)} WHERE _tier != 0 ORDER BY tier`,
  });
  expect(tiers.map((row) => row.tier)).toEqual(tiersOf(rollup.everySeconds));
}

describe('the real process', () => {
  it(`loses nothing accepted and counts nothing twice through ${KILLS} kills at random`, async () => {
    const directory = await temporaryDirectory();
    const random = seeded(20_240_101);
    const history = new History();
    const producers = Array.from({ length: PRODUCERS }, (_, number) => new Producer(number, history));
    try {
      let server = await startServer(directory.path);
      expect((await call(server, 'PUT', '/v1/streams/money', STREAM)).status).toBe(201);
      expect((await call(server, 'PUT', '/v1/rollups/money_by_kind', ROLLUP)).status).toBe(201);
      for (let kill = 0; kill < KILLS; kill += 1) {
        let alive = true;
        const sending = producers.map((producer) => producer.sendWhile(server, () => alive));
        await new Promise((done) => setTimeout(done, 30 + random() * 700));
        await server.end('SIGKILL');
        alive = false;
        await Promise.all(sending);
        server = await startServer(directory.path);
      }
      const state = await settled(server, 'money');
      expect(state.accepted).toBe(state.stored + state.duplicates + state.quarantined + state.late_dropped);
      expect(state.stored).toBeGreaterThan(KILLS * LINES_PER_REQUEST);
      expect(state.duplicates).toBeGreaterThan(0);
      expect(await server.end('SIGTERM')).toBe(0);
      await checkStore(directory.path, history);
    } finally {
      await directory.remove();
    }
  }, 300_000);
});
