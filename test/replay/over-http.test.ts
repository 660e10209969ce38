import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { millrace } from '../cli/capture.ts';
import { KEY, type Parts, startParts, startServer } from '../serve/support.ts';

const FIELDS = { id: 'uint64', kind: { type: 'enum', values: ['a'] } };
const STREAM = { fields: FIELDS, eventId: 'id' };
const WIDER = { ...STREAM, fields: { ...FIELDS, kind: { type: 'enum', values: ['a', 'b'] } } };

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;

beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  await server.call('PUT', '/v1/streams/visits', STREAM);
  await server.call('PUT', '/v1/rollups/by_kind', {
    from: 'visits',
    by: ['kind'],
    every: '1m',
    measures: { n: 'count()' },
  });
  // The door looks into JSON bodies; lines it only takes.
  const lines = Array.from({ length: 10 }, (_, id) => JSON.stringify({ id, kind: id < 7 ? 'a' : 'b' }));
  await server.call('POST', '/v1/streams/visits/events?ack=stored', `${lines.join('\n')}\n`, {
    'content-type': 'application/x-ndjson',
  });
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

describe('POST /v1/streams/{s}/replay', () => {
  it('says what is wrong with a range', async () => {
    const post = (body: object, stream = 'visits') =>
      server.call('POST', `/v1/streams/${stream}/replay`, body);
    expect(await post({}, 'nobody')).toMatchObject({ status: 404 });
    expect(await post({ from: 'yesteryear' })).toMatchObject({ status: 400 });
    expect(await post({ from: { '0': -1 } })).toMatchObject({ status: 400 });
    expect(await post({ from: { '7': 0 } })).toMatchObject({ status: 400 });
    expect(await post({ rollup: 'by_kind', from: { '0': 0 } })).toMatchObject({ status: 400 });
    expect(await post({ rollup: 'nobody' })).toMatchObject({ status: 404 });
  });

  it('answers with the ended run, whose result says what changed', async () => {
    await server.call('PUT', '/v1/streams/visits', WIDER);
    const answer = await server.call('POST', '/v1/streams/visits/replay?wait=60', { from: { '0': 2 } });
    expect(answer).toMatchObject({
      status: 200,
      json: {
        kind: 'replay',
        state: 'done',
        result: { records: 8, before: { stored: 5 }, after: { stored: 8 } },
      },
    });
    const stats = await server.call('GET', '/v1/streams/visits/stats?by=kind&from=2000-01-01&order=kind');
    expect(stats.json.rows).toEqual([
      { kind: 'a', count: 7 },
      { kind: 'b', count: 3 },
    ]);
  });

  it('answers at once when nobody waits, and builds a rollup once more', async () => {
    const answer = await server.call('POST', '/v1/streams/visits/replay?wait=0', { rollup: 'by_kind' });
    expect([200, 202]).toContain(answer.status);
    const { id } = answer.json;
    expect(answer.headers.get('location')).toBe(`/v1/runs/${id}`);
    expect(await parts.deps.runs.wait(parts.tenant, id, 60_000)).toMatchObject({ state: 'done' });
  });
});

describe('millrace replay', () => {
  const replay = (...more: string[]) =>
    millrace(['replay', 'visits', '--url', server.url, '--key', KEY, ...more]);

  it('waits for the end and tells what became of the records', async () => {
    const { code, out, err } = await replay('--offset', '0:2', '--to-offset', '0:9');
    expect({ code, err: err.includes('millrace:') }).toEqual({ code: 0, err: false });
    expect(out).toMatch(/^7 records decided again/);
  });

  it('refuses what it does not understand', async () => {
    expect(await replay('--offset', 'first')).toMatchObject({ code: 2 });
    expect(await replay('--from', '2024-05-01', '--offset', '0:1')).toMatchObject({ code: 2 });
    expect(await replay('--from', 'yesteryear')).toMatchObject({ code: 1 });
  });
});
