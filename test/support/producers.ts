/** Senders that never give up: what was not answered is sent again, with the same ids, to whoever answers next. */
import { expect } from 'vitest';
import type { Checked, History } from './check-store.ts';
import { seeded } from './seeded.ts';
import { call, type ServerProcess } from './server-process.ts';

export const PRODUCERS = 4;
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
export const MONEY: Checked = {
  stream: 'money',
  streamDocument: STREAM,
  rollup: 'money_by_kind',
  rollupDocument: ROLLUP,
};

/** Sends until the server dies; every request without an answer is kept and sent again, with the same ids, to the next server. */
export class Producer {
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

/** Makes the stream and the rollup. */
export async function define(server: ServerProcess): Promise<void> {
  expect((await call(server, 'PUT', '/v1/streams/money', STREAM)).status).toBe(201);
  expect((await call(server, 'PUT', '/v1/rollups/money_by_kind', ROLLUP)).status).toBe(201);
}
