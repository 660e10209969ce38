import { describe, expect, it } from 'vitest';
import { type Checked, checkStore, History } from '../support/check-store.ts';
import { seeded } from '../support/seeded.ts';
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
      await checkStore(directory.path, MONEY, history);
    } finally {
      await directory.remove();
    }
  }, 300_000);
});
