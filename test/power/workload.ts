/** What senders and owners do to a server while its calls are recorded, and what they may expect after a cut. */
import { expect } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { call, type ServerProcess, settled } from '../support/server-process.ts';

const FIELDS = {
  id: 'uint64',
  at: 'timestamp',
  kind: { type: 'enum', values: ['a', 'b', 'c'] },
  amount: 'int64',
};
const MONEY = { fields: FIELDS, eventId: 'id', eventTime: 'at', dedupe: { within: '1h' } };
export const WIDER = { ...MONEY, fields: { ...FIELDS, note: { type: 'string', optional: true } } };
export const BY_KIND = {
  from: 'money',
  by: ['kind'],
  every: '10s',
  measures: { n: 'count()', total: 'sum(amount)', typical: 'quantile(amount)', who: 'unique(id)' },
};
export const ALL = { from: 'money', by: [], every: '1m', measures: { n: 'count()', most: 'max(amount)' } };
/** Made, filled, removed and made again under its name: nothing of its first life may come back. */
const AGAIN = { fields: { n: 'uint64' }, eventId: 'n' };

const SENDERS = 2;
const LINES = 30;

/** One request and what it carried; its id is in the answer, so the trace tells when it was answered. */
export interface Sent {
  readonly request: string;
  readonly what:
    | { readonly kind: 'put' | 'delete'; readonly path: string; readonly document?: unknown }
    | {
        readonly kind: 'events';
        readonly stream: string;
        readonly body: string;
        readonly ids: number[];
        readonly bad: string[];
      };
}

/**
 * Works on the server, lets it come to rest and kills it; gives everything that was asked of it, in order of asking. The
 * power is cut later, at any place of the trace.
 */
export async function work(server: ServerProcess, seed: number, forMs: number): Promise<Sent[]> {
  const sent: Sent[] = [];
  let alive = true;
  const ask = async (what: Sent['what']): Promise<void> => {
    const request = `cut-${seed}-${sent.length}`;
    sent.push({ request, what });
    const headers = { 'x-request-id': request };
    const reply =
      what.kind === 'events'
        ? await call(server, 'POST', `/v1/streams/${what.stream}/events`, what.body, {
            ...headers,
            'content-type': 'application/x-ndjson',
          })
        : await call(server, what.kind.toUpperCase(), what.path, what.document as object, headers);
    expect(reply.status, reply.text).toBeLessThan(300);
  };
  const put = (path: string, document: unknown) => ask({ kind: 'put', path: `/v1/${path}`, document });
  const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

  const send = async (number: number): Promise<void> => {
    const numbers = seeded(seed * 100 + number);
    let next = 0;
    while (alive) {
      const what = lines(number, () => next++, numbers);
      next = Math.max(next, 1);
      await ask(what);
      // A sender that heard no answer sends the same again.
      if (numbers() < 0.2) await ask(what);
      await pause(numbers() * 80);
    }
  };
  const own = async (): Promise<void> => {
    await pause(forMs * 0.2);
    await put('rollups/money_all', ALL);
    await put('streams/again', AGAIN);
    await ask(events('again', [1, 2, 3]));
    await pause(forMs * 0.1);
    await put('streams/money', WIDER);
    await ask({ kind: 'delete', path: '/v1/streams/again' });
    await put('streams/again', AGAIN);
    await ask(events('again', [3, 4]));
  };

  await put('streams/money', MONEY);
  await put('rollups/money_by_kind', BY_KIND);
  const working = [own(), ...Array.from({ length: SENDERS }, (_, number) => send(number))];
  await pause(forMs);
  alive = false;
  await Promise.all(working);
  await settled(server, 'money');
  await settled(server, 'again');
  // Merges that run in the background: what a call did that never returned would not be in the trace.
  await pause(500);
  await server.end('SIGKILL');
  return sent;
}

function events(stream: string, numbers: readonly number[]): Sent['what'] {
  const body = numbers.map((n) => `{"n":${n}}\n`).join('');
  return { kind: 'events', stream, body, ids: [...numbers], bad: [] };
}

/** A tenth of the events were sent before; some are years late; some lines cannot be typed. */
function lines(sender: number, take: () => number, random: () => number): Sent['what'] {
  const ids: number[] = [];
  const bad: string[] = [];
  let body = '';
  for (let i = 0; i < LINES; i += 1) {
    const fresh = take();
    const number = fresh > 0 && random() < 0.1 ? Math.floor(random() * fresh) : fresh;
    const id = number * SENDERS + sender;
    const at =
      random() < 0.01
        ? '1999-12-31T23:59:59.999Z'
        : new Date(Date.UTC(2024, 0, 1) + (id % 86_400) * 250).toISOString();
    body += `{"id":${id},"at":"${at}","kind":"${'abc'[id % 3]}","amount":${(id % 1_000) - 300}}\n`;
    ids.push(id);
  }
  if (random() < 0.3) {
    const marker = `bad-${sender}-${ids[0]}`;
    body += `{"id":"${marker}","at":0}\n`;
    bad.push(marker);
  }
  return { kind: 'events', stream: 'money', body, ids, bad };
}
