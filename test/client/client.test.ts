import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { createClient, type MillraceClient, MillraceRequestError } from '../../src/client/index.ts';
import { defineStream, t } from '../../src/define/index.ts';
import { CountingServer, json } from './counting-server.ts';

let server: CountingServer;
let url: string;
let pauses: number[];
let client: MillraceClient;

/** Pauses pass at once; only the time limit of a request stays open. */
const clock = (): Clock => {
  let now = 0;
  return {
    now: () => now,
    monotonicMs: () => now,
    sleep: (ms, signal) => {
      if (signal !== undefined && ms >= 90_000) return new Promise(() => undefined);
      pauses.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
};

beforeEach(async () => {
  server = new CountingServer();
  url = await server.start();
  pauses = [];
  client = createClient({ url: `${url}/`, key: 'k', clock: clock(), ids: countingIds(), random: () => 0.5 });
});
afterEach(() => server.stop());

const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

describe('events go in', () => {
  it('a try after a lost answer carries the same ids', async () => {
    server.fault = (_, post) => (post % 2 === 0 ? 'lose' : undefined);
    const totals = await client.processEvents('s', numbers(10), { batchEvents: 3, concurrency: 1 });
    expect(totals).toEqual({ accepted: 10, rejected: 0, errors: [] });
    expect(server.events.size).toBe(10);
    expect(server.duplicates).toBe(10);
    const bodies = server.seen.map((one) => one.body);
    for (let post = 0; post < bodies.length; post += 2) expect(bodies[post + 1]).toBe(bodies[post]);
  });

  it('waits as long as Retry-After says, and gives up after the last try', async () => {
    server.fault = (_, post) =>
      post < 2
        ? {
            status: 429,
            headers: { 'retry-after': '7' },
            body: '{"type":"/problems/too-busy","title":"Busy"}',
          }
        : undefined;
    expect((await client.processEvent('s', { a: 1 })).accepted).toBe(1);
    expect(pauses).toEqual([7_050, 7_100]);

    server.fault = () => ({
      status: 503,
      body: '{"type":"/problems/log-unavailable","title":"t","detail":"d"}',
    });
    const failure = await client.processEvent('s', {}).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MillraceRequestError);
    expect(failure).toMatchObject({
      status: 503,
      type: '/problems/log-unavailable',
      title: 't',
      detail: 'd',
    });
    expect(pauses.length).toBe(2 + 9);
  });

  it('a refusal is not tried again and says what the server said', async () => {
    const issues = [{ path: 'fn', message: 'no' }];
    server.fault = () => ({
      status: 400,
      body: JSON.stringify({ type: '/problems/bad-body', detail: 'x', issues }),
    });
    await expect(client.processEvents('s', numbers(3))).rejects.toMatchObject({ status: 400, issues });
    expect(server.posts).toBe(1);
  });

  it('never more than the allowed batches are made or under way', async () => {
    let made = 0;
    let most = 0;
    let answered = 0;
    async function* source() {
      for (let n = 0; n < 100; n += 1) {
        made += 1;
        most = Math.max(most, made - answered);
        yield { n };
      }
    }
    const totals = await client.processEvents('s', source(), {
      batchEvents: 5,
      concurrency: 3,
      onProgress: (sum) => {
        answered = sum.accepted;
      },
    });
    expect(totals.accepted).toBe(100);
    expect(server.waitingMost).toBeLessThanOrEqual(3);
    expect(most).toBeLessThanOrEqual(20);
  });

  it('places rejected events among all that were handed over', async () => {
    const batches = [
      { body: Buffer.from('{"_id":"a"}\n1\n'), count: 2, first: 0 },
      { body: Buffer.from('{"_id":"b"}\n{"_id":"c"}\nx\n'), count: 3, first: 2 },
    ];
    const totals = await client.processBatches('s', batches);
    expect(totals).toMatchObject({ accepted: 3, rejected: 2, errors: [{ index: 1 }, { index: 4 }] });
  });

  it('a batch that is too large for the server goes in halves, with the same ids', async () => {
    server.fault = (seen) => (seen.body.split('\n').length > 4 ? { status: 413 } : undefined);
    const totals = await client.processEvents('s', numbers(11));
    expect(totals.accepted).toBe(11);
    expect(server.events.size).toBe(11);
    expect(server.duplicates).toBe(0);
  });

  it('compresses when asked to', async () => {
    await client.processEvents('s', numbers(4), { gzip: true });
    expect(server.seen[0]!.headers['content-encoding']).toBe('gzip');
    expect(server.events.size).toBe(4);
  });

  it('keeps the digits of bigint, writes dates as RFC 3339, leaves own ids alone', async () => {
    await client.processEvent('s', { u: 18446744073709551615n, at: new Date(0), _id: 'mine' });
    expect(server.seen[0]!.body).toBe(
      '{"u":18446744073709551615,"at":"1970-01-01T00:00:00.000Z","_id":"mine"}',
    );
    await client.processEvent('s', { order: 1 }, { idField: 'order', ack: 'stored' });
    expect(server.seen[1]).toMatchObject({ body: '{"order":1}', path: '/v1/streams/s/events?ack=stored' });
    await client.countEvent('s');
    expect(server.seen[2]!.body).toMatch(/^\{"_id":"[0-9a-f-]{36}"\}$/);
    expect(server.seen[2]!.headers.authorization).toBe('Bearer k');
  });

  it('a typed stream is identified by its own field', async () => {
    const orders = defineStream('orders', {
      fields: { id: t.uint64(), note: t.string().optional() },
      eventId: 'id',
    });
    await client.for(orders).processEvents([{ id: 1n }, { id: 2, note: 'x' }]);
    expect(server.seen[0]!.body).toBe('{"id":1}\n{"id":2,"note":"x"}\n');
    // @ts-expect-error a field of the wrong type
    await client.for(orders).processEvent({ id: true });
  });

  it('stops at once when it is told to', async () => {
    const stop = new AbortController();
    async function* endless() {
      for (let n = 0; ; n += 1) yield { n };
    }
    const sent = client.processEvents('s', endless(), {
      batchEvents: 2,
      signal: stop.signal,
      onProgress: ({ accepted }) => {
        if (accepted >= 20) stop.abort(new Error('enough'));
      },
    });
    await expect(sent).rejects.toThrow('enough');
  });
});

describe('numbers come out', () => {
  it('integers keep every digit', async () => {
    server.answer = (_, response) =>
      json(
        response,
        '{"columns":[],"rows":[{"time":"t","item":"a","count":18446744073709551615,"sum(n)":3,"p99.9(n)":1.5}],"meta":{"source":"events"}}',
      );
    const answer = await client.getStats('s', {
      fn: ['count', 'sum(n)', 'p99.9(n)'],
      by: 'item',
      every: '1m',
      from: new Date(0),
      to: 60_000,
      where: ['a:eq:1', 'b:in:x,y'],
      order: '-count',
      limit: 3,
    });
    const row = answer.rows[0]!;
    const typed: { count: number | bigint; 'p99.9(n)': number | null; time: string } = row;
    expect(typed).toEqual({
      time: 't',
      item: 'a',
      count: 18446744073709551615n,
      'sum(n)': 3,
      'p99.9(n)': 1.5,
    });
    const query = new URL(server.seen[0]!.path, url).searchParams;
    expect(query.getAll('fn')).toEqual(['count', 'sum(n)', 'p99.9(n)']);
    expect(Object.fromEntries(query)).toMatchObject({
      from: '1970-01-01T00:00:00.000Z',
      to: '60000',
      by: 'item',
    });
    expect(query.getAll('where')).toEqual(['a:eq:1', 'b:in:x,y']);
    expect(await client.getCount('s')).toBe(18446744073709551615n);
  });

  it('an address without a server is said in plain words', async () => {
    await server.stop();
    await expect(client.streams()).rejects.toMatchObject({
      status: 0,
      detail: expect.stringContaining('cannot be reached'),
    });
  });

  it('an answer that is not JSON is said in plain words', async () => {
    server.answer = (_, response) => response.end('<html>');
    await expect(client.events('s')).rejects.toThrow('is this the address of a Millrace server?');
  });

  it('definitions are put under the condition that was given', async () => {
    server.answer = (seen, response) => {
      response.setHeader('etag', '"4"');
      json(response, seen.method === 'PUT' ? { document: { x: 1 } } : {});
    };
    expect(await client.putStream('s', {}, { ifVersion: 3 })).toEqual({
      name: 's',
      document: { x: 1 },
      version: 4,
    });
    expect(server.seen[0]!.headers['if-match']).toBe('"3"');
    expect(await client.version('rollup', 'r')).toBe(4);
  });
});

describe('a live connection', () => {
  it('comes back after it broke and goes on after the last message', async () => {
    let connections = 0;
    server.answer = (_, response) => {
      connections += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const id = (connections - 1) * 2;
      response.write(`id: ${id}\nevent: events\ndata: {"events":[{"n":${2n ** 63n}}]}\n\n`);
      response.write(`id: ${id + 1}\nevent: state\ndata: {}\n\n`);
      setTimeout(() => response.destroy(), 5);
    };
    const stop = new AbortController();
    const types: string[] = [];
    for await (const message of client.live('s', { signal: stop.signal })) {
      types.push(`${message.type} ${message.id}`);
      if (types.length === 1) expect(message.data).toEqual({ events: [{ n: 2n ** 63n }] });
      if (types.length === 6) stop.abort();
    }
    expect(types).toEqual(['events 0', 'state 1', 'events 2', 'state 3', 'events 4', 'state 5']);
    expect(server.seen.map((one) => one.headers['last-event-id'])).toEqual([undefined, '1', '3']);
  });

  it('ends with the refusal when the server refuses for good', async () => {
    server.answer = (_, response) => response.writeHead(404).end('{"detail":"There is no such stream."}');
    await expect(client.live('s').next()).rejects.toThrow('There is no such stream.');
  });
});
