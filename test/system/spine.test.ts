import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;

beforeAll(async () => {
  directory = await temporaryDirectory();
  server = await startServer(directory.path);
});

afterAll(async () => {
  await server?.end('SIGTERM');
  await directory?.remove();
});

const DETECTIONS = {
  fields: {
    detection_oid: 'uint64',
    item_name: { type: 'string', maxLength: 5000 },
    timestamp_detected: 'timestamp',
  },
  eventId: 'detection_oid',
  eventTime: 'timestamp_detected',
  dedupe: { within: '24h' },
  lateness: { allowed: '10m', then: 'count' },
};

describe('an event on the wire becomes a number in an answer', () => {
  it('as the contract tells it', async () => {
    expect((await call(server, 'PUT', '/v1/streams/detections', DETECTIONS)).status).toBe(201);
    const rollup = await call(server, 'PUT', '/v1/rollups/items_by_location', {
      from: 'detections',
      by: ['item_name'],
      every: '1m',
      measures: { detections: 'count()', cameras: 'unique(detection_oid)' },
    });
    expect(rollup.status).toBe(201);
    const sent = await call(server, 'POST', '/v1/streams/detections/events?ack=stored', [
      { detection_oid: '18446744073709551615', item_name: 'car', timestamp_detected: '2024-03-01T10:00:05Z' },
      { detection_oid: 2, item_name: 'car', timestamp_detected: '2024-03-01T10:00:59.999Z' },
      { detection_oid: 3, item_name: 'bike', timestamp_detected: Date.UTC(2024, 2, 1, 10, 2) },
      { detection_oid: 3, item_name: 'bike', timestamp_detected: '2024-03-01T10:02:00Z' },
    ]);
    expect(sent.status).toBe(200);
    expect(sent.json).toMatchObject({ accepted: 4, rejected: 0, stored: 3, duplicates: 1, quarantined: 0 });

    const stats = await call(
      server,
      'GET',
      '/v1/streams/detections/stats?fn=count&fn=unique(detection_oid)&from=2024-03-01T10:00:00Z&to=2024-03-01T10:03:00Z&every=1m',
    );
    expect(stats.status, stats.text).toBe(200);
    expect(stats.json.rows).toEqual([
      { time: '2024-03-01T10:00:00.000Z', count: 2, 'unique(detection_oid)': 2 },
      { time: '2024-03-01T10:01:00.000Z', count: 0, 'unique(detection_oid)': 0 },
      { time: '2024-03-01T10:02:00.000Z', count: 1, 'unique(detection_oid)': 1 },
    ]);
    expect(stats.json.meta).toMatchObject({ source: 'rollup items_by_location', cached: false });

    const grouped = await call(server, 'GET', '/v1/streams/detections/stats?by=item_name&order=-count');
    expect(grouped.json.rows).toEqual([
      { item_name: 'car', count: 2 },
      { item_name: 'bike', count: 1 },
    ]);
  });

  it('keeps every digit of 64-bit integers from JSON in to JSON out', async () => {
    await call(server, 'PUT', '/v1/streams/big', { fields: { n: 'int64', u: 'uint64' } });
    const sent = await call(
      server,
      'POST',
      '/v1/streams/big/events?ack=stored',
      '[{"n":-9223372036854775808,"u":18446744073709551615},{"n":9007199254740993,"u":18446744073709551615}]',
    );
    expect(sent.json).toMatchObject({ stored: 2 });
    const listed = await call(server, 'GET', '/v1/streams/big/events');
    expect(listed.text).toContain('"n":9007199254740993');
    expect(listed.text).toContain('"u":18446744073709551615');
    const stats = await call(server, 'GET', '/v1/streams/big/stats?fn=sum(u)&fn=min(n)&fn=max(n)');
    expect(stats.text).toContain('"sum(u)":36893488147419103230');
    expect(stats.text).toContain('"min(n)":-9223372036854775808');
    expect(stats.text).toContain('"max(n)":9007199254740993');
  });

  it('ack=stored means that the next question sees it, a hundred times in a row', async () => {
    await call(server, 'PUT', '/v1/streams/seen', { fields: { n: 'int32' } });
    await call(server, 'PUT', '/v1/rollups/seen_all', {
      from: 'seen',
      by: [],
      every: '10s',
      measures: { n: 'count()' },
    });
    for (let n = 1; n <= 100; n += 1) {
      const sent = await call(server, 'POST', '/v1/streams/seen/events?ack=stored', { n });
      expect(sent.json).toMatchObject({ stored: 1 });
      const stats = await call(server, 'GET', '/v1/streams/seen/stats?fn=count&fn=max(n)');
      expect(stats.json.rows).toEqual([{ count: n, 'max(n)': n }]);
    }
  });

  it('takes every format and compression', async () => {
    await call(server, 'PUT', '/v1/streams/formats', {
      fields: { name: 'string', n: { type: 'int64', optional: true } },
    });
    const post = (body: string | Uint8Array, headers: Record<string, string>) =>
      call(server, 'POST', '/v1/streams/formats/events?ack=stored', body, headers);
    const results = [
      await post('{"name":"json"}', { 'content-type': 'application/json' }),
      await post('{"name":"ndjson"}\n{"name":"ndjson","n":2}', { 'content-type': 'application/x-ndjson' }),
      await post('name,n\ncsv,3\n"c,s""v",\n', { 'content-type': 'text/csv' }),
      await post(gzipSync('{"name":"gzip"}\n'), {
        'content-type': 'application/x-ndjson',
        'content-encoding': 'gzip',
      }),
      await post('{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"name":"ce"}}', {
        'content-type': 'application/cloudevents+json',
      }),
      await post(
        '[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"name":"ce"}},{"specversion":"1.0","id":"2","source":"/s","type":"t","data":{"name":"ce"}}]',
        { 'content-type': 'application/cloudevents-batch+json' },
      ),
    ];
    expect(
      results.map((one) => [one.status, one.json.accepted, one.json.stored, one.json.duplicates]),
    ).toEqual([
      [200, 1, 1, 0],
      [200, 2, 2, 0],
      [200, 2, 2, 0],
      [200, 1, 1, 0],
      [200, 1, 1, 0],
      [200, 2, 1, 1],
    ]);
  });

  it('counts fields that the stream does not declare, and keeps them', async () => {
    await call(server, 'PUT', '/v1/streams/loose', { fields: { a: 'int32' } });
    await call(server, 'POST', '/v1/streams/loose/events?ack=stored', { a: 1, later: { deep: [1] } });
    const listed = await call(server, 'GET', '/v1/streams/loose/events');
    expect((listed.json.events as object[])[0]).toMatchObject({ a: 1, later: { deep: [1] } });
    expect(await settled(server, 'loose')).toMatchObject({ stored: 1, with_unknown_fields: 1 });
  });

  it('goes on taking events while a stream is redefined, each stored under the definition of its batch', async () => {
    await call(server, 'PUT', '/v1/streams/growing', { fields: { n: 'int64' } });
    await call(server, 'PUT', '/v1/rollups/growing_all', {
      from: 'growing',
      by: [],
      every: '1m',
      measures: { s: 'sum(n)' },
    });
    let sending = true;
    let sent = 0;
    const sender = (async () => {
      while (sending) {
        const lines = Array.from({ length: 50 }, (_, i) => `{"n":${sent + i},"city":"c${i % 5}"}`).join('\n');
        const reply = await call(server, 'POST', '/v1/streams/growing/events', lines, {
          'content-type': 'application/x-ndjson',
        });
        expect(reply.status).toBe(202);
        sent += 50;
      }
    })();
    const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));
    await wait(300);
    const widened = await call(server, 'PUT', '/v1/streams/growing', {
      fields: { n: 'int64', city: { type: 'string', optional: true } },
    });
    expect(widened.status, widened.text).toBe(200);
    await wait(300);
    const added = await call(server, 'PUT', '/v1/rollups/growing_by_city', {
      from: 'growing',
      by: ['city'],
      every: '1m',
      measures: { s: 'sum(n)' },
    });
    expect(added.status, added.text).toBe(201);
    await wait(300);
    sending = false;
    await sender;
    const state = await settled(server, 'growing');
    expect(state).toMatchObject({ accepted: sent, stored: sent, quarantined: 0 });
    const total = await call(server, 'GET', '/v1/streams/growing/stats?fn=count&fn=sum(n)');
    expect(total.json.rows).toEqual([{ count: sent, 'sum(n)': (sent * (sent - 1)) / 2 }]);
    const byCity = await call(server, 'GET', '/v1/streams/growing/stats?fn=count&by=city');
    expect(byCity.json.meta).toMatchObject({ source: 'rollup growing_by_city' });
    expect((byCity.json.rows as { count: number }[]).reduce((sum, row) => sum + row.count, 0)).toBe(sent);
  });

  it('stops within ten seconds on SIGTERM with nothing accepted in memory', async () => {
    const other = await temporaryDirectory();
    try {
      let one = await startServer(other.path);
      await call(one, 'PUT', '/v1/streams/last', { fields: { n: 'int32' } });
      const replies = Promise.all(
        Array.from({ length: 200 }, (_, n) =>
          call(one, 'POST', '/v1/streams/last/events?ack=none', { n }).catch(() => undefined),
        ),
      );
      const answered = (await replies).filter((reply) => reply?.status === 202).length;
      const since = performance.now();
      expect(await one.end('SIGTERM')).toBe(0);
      expect(performance.now() - since).toBeLessThan(10_000);
      one = await startServer(other.path);
      expect((await settled(one, 'last')).stored).toBe(answered);
      await one.end('SIGTERM');
    } finally {
      await other.remove();
    }
  });
});
