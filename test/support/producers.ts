/** Senders that never give up: what was not answered is sent again, with the same ids, to whoever answers next. */
import { expect } from 'vitest';
import { type Checked, checkStore, History } from './check-store.ts';
import { seeded } from './seeded.ts';
import { call, type ServerProcess, settled, startServer, temporaryDirectory } from './server-process.ts';

const PRODUCERS = 4;
export const LINES_PER_REQUEST = 40;

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

/** The stream that the producers send to, and the rollup over it. */
const MONEY: Checked = {
  stream: 'money',
  streamDocument: STREAM,
  rollup: 'money_by_kind',
  rollupDocument: ROLLUP,
};

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

async function define(server: ServerProcess): Promise<void> {
  expect((await call(server, 'PUT', '/v1/streams/money', STREAM)).status).toBe(201);
  expect((await call(server, 'PUT', '/v1/rollups/money_by_kind', ROLLUP)).status).toBe(201);
}

export interface Trial {
  /** How many servers end, one after another, on one data directory. */
  readonly lives: number;
  /** How the next of them is started. */
  readonly options?: () => Parameters<typeof startServer>[1];
  /** What happens to it while producers send. It is killed afterwards unless it is dead. */
  readonly happens: (server: ServerProcess, history: History) => Promise<void>;
}

/**
 * Producers send to one server after another, each of which ends; then a healthy one comes up, and everything is
 * checked: the counts of the stream, its ledger, and the store itself. Returns how many events are stored.
 */
export async function survive({ lives, options, happens }: Trial): Promise<{ stored: number }> {
  const directory = await temporaryDirectory();
  const history = new History();
  const producers = Array.from({ length: PRODUCERS }, (_, number) => new Producer(number, history));
  try {
    let server = await startServer(directory.path);
    await define(server);
    await server.end('SIGTERM');
    for (let life = 0; life < lives; life += 1) {
      const started = await startServer(directory.path, options?.() ?? {}).catch((error: Error) => error);
      if (started instanceof Error) {
        // It may be killed before it is ready; it may not give up.
        expect(started.message).toContain('ended with null');
        continue;
      }
      server = started;
      let alive = true;
      const sending = producers.map((producer) => producer.sendWhile(server, () => alive));
      await happens(server, history);
      await server.end('SIGKILL');
      alive = false;
      await Promise.all(sending);
    }
    server = await startServer(directory.path);
    const state = await settled(server, 'money');
    const { accepted, stored, duplicates, quarantined, late_dropped } = state;
    expect(accepted).toBe(stored + duplicates + quarantined + late_dropped);
    expect(history.acknowledged.size).toBeGreaterThan(0);
    const ends = [-2, 2].map((days) => new Date(Date.now() + days * 86_400_000).toISOString());
    const path = `/v1/streams/money/ledger?every=1d&from=${ends[0]}&to=${ends[1]}`;
    const ledger = (await call(server, 'GET', path)).json;
    expect(ledger, JSON.stringify(ledger)).toMatchObject({
      balanced: true,
      totals: { accepted, stored, duplicates, quarantined },
    });
    expect(await server.end('SIGTERM')).toBe(0);
    await checkStore(directory.path, MONEY, history);
    return { stored };
  } finally {
    await directory.remove();
  }
}
