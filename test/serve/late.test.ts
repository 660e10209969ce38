import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lateAnswer, statsAnswer } from '../../src/serve/schemas.ts';
import { createLate, createStats } from '../../src/stats/index.ts';
import { openWatermarks, type RunningWatermarks } from '../../src/watermarks/index.ts';
import { millrace } from '../cli/capture.ts';
import { KEY, type Parts, startParts, startServer } from './support.ts';

const AT = Date.UTC(2024, 4, 1, 12);
const MINUTE = 60_000;
const STREAM = {
  fields: { id: 'uint64', at: 'timestamp' },
  ...{ eventId: 'id', eventTime: 'at', dedupe: { within: '1h' } },
  lateness: { allowed: '1m', then: 'drop' },
  watermark: { idle: false },
};
const iso = (ms: number) => new Date(ms).toISOString();
const stats = `/v1/streams/readings/stats?from=${iso(AT - 60 * MINUTE)}&to=${iso(AT)}`;

let parts: Parts;
let watermarks: RunningWatermarks;
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  parts = await startParts();
  const { engine, catalog, log, clock, tenants, logger } = parts.deps;
  const { ingest } = parts;
  watermarks = await openWatermarks({ catalog, tenants, ingest, log, engine, clock, logger });
  ingest.tell(watermarks.follower);
  watermarks.start();
  server = await startServer(parts, {
    watermarks,
    late: createLate({ engine, catalog, clock, watermarks }),
    stats: createStats({ engine, catalog, log, ingest, clock, watermarks }),
  });
  await server.call('PUT', '/v1/streams/readings', STREAM);
});
afterAll(async () => {
  await server.close();
  await watermarks.stop();
  await parts.close();
});
const send = async (...events: readonly (readonly [id: number, ms: number])[]) =>
  server.call(
    'POST',
    '/v1/streams/readings/events?ack=stored',
    events.map(([id, ms]) => ({ id, at: iso(ms) })),
  );
const meta = async () => (await server.call('GET', stats)).json.meta;

describe('how good numbers are, over HTTP', () => {
  it('a heartbeat closes a range that no event has ended', async () => {
    await send([1, AT - 5 * MINUTE]);
    expect(await meta()).toMatchObject({ finality: 'open', version: null, watermark: iso(AT - 5 * MINUTE) });
    const beat = await server.call('POST', '/v1/streams/readings/heartbeat', { time: iso(AT) });
    expect(beat).toMatchObject({ status: 200, json: { stream: 'readings', time: iso(AT) } });
    await expect.poll(meta, { timeout: 10_000 }).toMatchObject({
      ...{ finality: 'final', version: 1, watermark: iso(AT), late: 0, duplicates: 0 },
    });
    expect(statsAnswer.parse((await server.call('GET', stats)).json).rows).toEqual([{ count: 1 }]);
    const refused = await server.call('POST', '/v1/streams/readings/heartbeat', { source: 'a' });
    expect(refused).toMatchObject({ status: 400 });
    expect((await server.call('POST', '/v1/streams/readings/heartbeat', { time: 'soon' })).status).toBe(400);
  });

  it('the stream and the metrics tell the same watermark', async () => {
    const { json } = await server.call('GET', '/v1/streams/readings');
    expect(json.state).toMatchObject({ watermark: iso(AT), sources: 1, idle_sources: 0 });
    const { text } = await server.call('GET', '/metrics');
    const of = (name: string) =>
      Number(text.match(new RegExp(`^${name}\\{tenant="default",stream="readings"\\} (\\S+)$`, 'm'))?.[1]);
    expect(of('millrace_watermark_seconds')).toBe(AT / 1_000);
    expect(of('millrace_watermark_lag_ms')).toBeGreaterThanOrEqual(json.state.watermark_lag_ms);
    expect([of('millrace_watermark_sources'), of('millrace_watermark_idle_sources')]).toEqual([1, 0]);
  });

  it('what was dropped for lateness is listed, and taken in once', async () => {
    const sent = await send([1, AT - 5 * MINUTE], [2, AT - 5 * MINUTE - 30_000], [3, AT - 20 * MINUTE]);
    expect(sent.json).toMatchObject({ stored: 1, duplicates: 1, late: 1 });
    expect(await meta()).toMatchObject({ finality: 'corrected', version: 2, late: 1, duplicates: 1 });
    const lane = async (query = '') => {
      const { json } = await server.call('GET', `/v1/streams/readings/late${query}`);
      return lateAnswer.parse(json);
    };
    const bucket = { time: iso(AT - 60 * MINUTE), counted: 1, quarantined: 0, dropped: 1, replayed: 0 };
    expect((await lane()).counts).toEqual([bucket]);
    expect((await lane()).sample).toMatchObject([{ what: 'dropped', time: iso(AT - 20 * MINUTE) }]);
    expect((await lane('?what=quarantined')).sample).toEqual([]);

    const replay = (body: object) => server.call('POST', '/v1/streams/readings/late/replay?wait=30', body);
    expect(await replay({ dry_run: true })).toMatchObject({
      ...{ status: 200, json: { dry_run: true, candidates: 1, would_store: 1, still_bad: [] } },
    });
    expect((await replay({ to: iso(AT - 30 * MINUTE) })).json.result).toMatchObject({ replayed: 0 });
    expect(await replay({ from: 'soon' })).toMatchObject({ status: 400 });
    const cli = (...argv: string[]) =>
      millrace(argv, { environment: { MILLRACE_URL: server.url, MILLRACE_KEY: KEY } });
    expect(await cli('late', 'replay', 'readings', '--dry-run')).toMatchObject({
      ...{ code: 0, out: expect.stringContaining('1 wait') },
    });
    expect(await cli('late', 'replay', 'readings')).toMatchObject({
      ...{ code: 0, out: expect.stringContaining('1 replayed') },
    });
    expect((await replay({})).json).toMatchObject({ kind: 'replay-late', result: { replayed: 0 } });
    await expect.poll(meta, { timeout: 10_000 }).toMatchObject({
      ...{ finality: 'corrected', version: 3, late: 2, duplicates: 1 },
    });
    expect((await lane()).counts).toEqual([{ ...bucket, counted: 2, dropped: 0, replayed: 1 }]);
    expect(await cli('late', 'readings', '--state', 'replayed')).toMatchObject({
      ...{ code: 0, out: expect.stringMatching(/dropped\s+replayed.*"id":3/s) },
    });
  });
});
