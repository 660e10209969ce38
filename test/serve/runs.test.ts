import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runAnswer, runsAnswer } from '../../src/serve/schemas.ts';
import { millrace } from '../cli/capture.ts';
import { KEY, type Parts, startParts, startServer, VISITS } from './support.ts';

const ROLLUP = { from: 'visits', by: ['page'], every: '1m', measures: { n: 'count()' } };

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  await server.call('PUT', '/v1/streams/visits', VISITS);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});
const cli = (...argv: string[]) =>
  millrace(argv, { environment: { MILLRACE_URL: server.url, MILLRACE_KEY: KEY } });

describe('runs over HTTP', () => {
  it('a rollup that is put tells the run that built it, and the run tells how it went', async () => {
    const put = await server.call('PUT', '/v1/rollups/by_page', ROLLUP);
    expect(put).toMatchObject({ status: 201, json: { version: 1, state: 'ready', progress: null } });
    const run = await server.call('GET', `/v1/runs/${put.json.run}`);
    expect(run).toMatchObject({
      status: 200,
      json: { kind: 'build-rollup', stream: 'visits', subject: 'by_page', state: 'done', error: null },
    });
    expect(runAnswer.parse(run.json)).toEqual(run.json);
    const list = (await server.call('GET', '/v1/runs?stream=visits&kind=build-rollup&state=done')).json;
    expect(runsAnswer.parse(list).runs.map((one) => one.id)).toContain(put.json.run);
    expect((await server.call('GET', '/v1/runs?stream=other')).json).toEqual({ runs: [] });
    expect((await server.call('GET', '/v1/rollups/by_page')).json).toMatchObject({
      state: 'ready',
      run: null,
    });
    expect((await server.call('GET', '/metrics')).text).toContain(
      'millrace_runs{tenant="default",kind="build-rollup",state="done"} 1',
    );
  });

  it('a run that has ended cannot be undone, one that is unknown not found, a state that is none not asked for', async () => {
    const { run } = (await server.call('PUT', '/v1/rollups/by_page', { ...ROLLUP, every: '10s' })).json;
    expect(await server.call('DELETE', `/v1/runs/${run}`)).toMatchObject({
      status: 202,
      json: { state: 'done' },
    });
    expect((await server.call('GET', '/v1/runs/nope')).status).toBe(404);
    expect((await server.call('DELETE', '/v1/runs/nope')).status).toBe(404);
    expect((await server.call('GET', '/v1/runs?state=sleeping')).status).toBe(400);
  });

  it('a change of a stream that needs its rollups built anew tells its run, too', async () => {
    const fields = { ...VISITS.fields, big: { type: 'uint64', optional: true }, seconds: 'float64' };
    const same = await server.call('PUT', '/v1/streams/visits', { ...VISITS, fields });
    expect(same.json).toMatchObject({ version: 1, run: null });
    const changed = await server.call('PUT', '/v1/streams/visits', {
      ...VISITS,
      eventId: undefined,
      fields,
    });
    expect(changed.status).toBe(409);
  });
});

describe('runs on the command line', () => {
  it('are listed, shown and cancelled', async () => {
    const list = await cli('runs', 'list', '--kind', 'build-rollup', '--json');
    expect(list).toMatchObject({ code: 0, err: '' });
    const [run] = JSON.parse(list.out) as { id: string }[];
    expect((await cli('runs', 'list', '--stream', 'visits')).out).toContain(run!.id);
    expect((await cli('runs', 'list', '--state', 'failed')).out).toBe('There are no such runs.\n');
    expect((await cli('runs', 'show', run!.id)).out).toMatch(/build-rollup\s+visits\s+by_page\s+done/);
    expect(JSON.parse((await cli('runs', 'cancel', run!.id, '--json')).out)).toMatchObject({ state: 'done' });
    expect(await cli('runs', 'show', 'nope')).toMatchObject({
      code: 1,
      err: expect.stringContaining('There is no run "nope"'),
    });
    expect((await cli('runs', 'frobnicate')).code).toBe(2);
  });
});
