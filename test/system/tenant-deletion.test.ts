import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findBytes } from '../support/find-bytes.ts';
import {
  call,
  type Reply,
  type ServerProcess,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

const DYING = resolve(import.meta.dirname, '../support/dying-in-deletion.mjs');
const NDJSON = { 'content-type': 'application/x-ndjson' };

/** Where the process dies while it deletes: before a call, behind one, in the midst of the purge of the catalog, or not. */
const MOMENTS = (process.env.MILLRACE_TEST_MOMENTS ?? 'never,2,5+,7,purge+2').split(',');

/** Every name and value that is the tenant's alone. */
const marksOf = (tenant: string) => {
  const mark = tenant.replace('victim', '');
  return {
    stream: `clicksxq${mark}`,
    rollup: `ratesxq${mark}`,
    field: `shadexq${mark}`,
    value: `crimsonxq${mark}`,
    bad: `brokenxq${mark}`,
    id: `idxq${mark}`,
    table: `tablexq${mark}`,
    row: `rowxq${mark}`,
    title: `Titlexq${mark}`,
    key: `keyxq${mark}`,
    words: `wordsxq${mark}`,
    report: `reportxq${mark}`,
    text: `textxq${mark}`,
  };
};
type Marks = ReturnType<typeof marksOf>;

/** Requests of the operator for a tenant. */
const acting = (server: ServerProcess, tenant: string) => {
  return (method: string, path: string, body?: string | object, headers: Record<string, string> = {}) =>
    call(server, method, path, body, { 'millrace-tenant': tenant, ...headers });
};

/** Streams, rollups, a key, events of every fate. */
async function fill(server: ServerProcess, tenant: string, marks: Marks): Promise<void> {
  const ask = acting(server, tenant);
  const right = async (reply: Promise<Reply>) => {
    const { status, text } = await reply;
    expect(status, text).toBeLessThan(300);
  };
  await right(
    call(server, 'PUT', `/v1/tenants/${tenant}`, { displayName: marks.title, limits: { fields: 77 } }),
  );
  const fields = { eid: 'string', [marks.field]: 'string', n: 'int64' };
  await right(
    ask('PUT', `/v1/streams/${marks.stream}`, { fields, eventId: 'eid', dedupe: { within: '1h' } }),
  );
  const rollup = { from: marks.stream, by: [marks.field], every: '1m', measures: { events: 'count()' } };
  await right(ask('PUT', `/v1/rollups/${marks.rollup}`, rollup));
  // A table of the version before is dropped.
  await right(ask('PUT', `/v1/rollups/${marks.rollup}`, { ...rollup, every: '1h' }));
  await right(ask('PUT', `/v1/keys/${marks.key}`, { scopes: ['events:write'], description: marks.words }));
  const lines = Array.from({ length: 40 }, (_, n) =>
    JSON.stringify({ eid: `${marks.id}-${n % 30}`, [marks.field]: `${marks.value}-${n % 3}`, n }),
  );
  const body = `${[...lines, `{"eid":"${marks.bad}","${marks.field}":7}`].join('\n')}\n`;
  await right(ask('POST', `/v1/streams/${marks.stream}/events?ack=stored`, body, NDJSON));
  await right(
    ask('PUT', `/v1/tables/${marks.table}`, {
      key: marks.field,
      fields: { [marks.field]: 'string', n: 'string' },
    }),
  );
  for (const n of [`${marks.row}-1`, `${marks.row}-2`])
    await right(ask('POST', `/v1/tables/${marks.table}/rows`, { [marks.field]: `${marks.value}-1`, n }));
  await right(ask('GET', `/v1/streams/${marks.stream}/stats?fn=count&by=${marks.field}`));
  await right(ask('GET', `/v1/streams/${marks.stream}/stats?fn=count&by=${marks.table}.n`));
  const sql = `SELECT DISTINCT '${marks.text}' AS said, ${marks.field} FROM ${marks.stream}`;
  const report = { title: marks.text, period: '1h', questions: { [marks.report]: { sql } } };
  await right(ask('PUT', `/v1/reports/${marks.report}`, report));
  const ran = await ask('POST', `/v1/reports/${marks.report}/runs?wait=30`, {});
  expect(ran.json).toMatchObject({ state: 'done' });
  await right(ask('POST', '/v1/sql', { query: `SELECT count() FROM ${marks.stream}` }));
}

/** What the tenant may read, as bytes. */
async function answers(server: ServerProcess, tenant: string, marks: Marks): Promise<readonly string[]> {
  const ask = acting(server, tenant);
  const paths = [
    `/v1/streams/${marks.stream}/events`,
    `/v1/streams/${marks.stream}/quarantine`,
    `/v1/streams/${marks.stream}/duplicates`,
    `/v1/rollups/${marks.rollup}`,
    `/v1/tables/${marks.table}/rows?at=now`,
    '/v1/keys',
  ];
  const replies = await Promise.all(paths.map((path) => ask('GET', path)));
  const stats = await ask('GET', `/v1/streams/${marks.stream}/stats?fn=count&fn=sum(n)&by=${marks.field}`);
  return [...replies.map(({ text }) => text), JSON.stringify(stats.json.rows)];
}

const listed = async (server: ServerProcess): Promise<readonly string[]> =>
  ((await call(server, 'GET', '/v1/tenants')).json.tenants as { name: string }[]).map(({ name }) => name);

async function gone(server: ServerProcess, tenant: string): Promise<void> {
  for (let waited = 0; (await listed(server)).includes(tenant); waited += 50) {
    expect(waited, `${tenant} is deleted in the end; ${server.errors()}`).toBeLessThan(30_000);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function isDeadSoon(server: ServerProcess): Promise<boolean> {
  const patience = new Promise<'alive'>((done) => setTimeout(() => done('alive'), 15_000).unref());
  return (await Promise.race([server.ended, patience])) !== 'alive';
}

describe('the real process deletes a tenant', () => {
  it(`without a byte of it left, whatever moment it is killed at (${MOMENTS.length}), and nobody else notices`, async () => {
    const data = await temporaryDirectory();
    let server = await startServer(data.path);
    try {
      const other = marksOf('victimother');
      await fill(server, 'neighbour', other);
      const before = await answers(server, 'neighbour', other);
      const survived: string[] = [];
      for (const [index, moment] of MOMENTS.entries()) {
        const victim = `victim${index}z`;
        const marks = marksOf(victim);
        await server.end('SIGKILL');
        server = await startServer(data.path, {
          program: [DYING],
          env: { VICTIM: victim, DIE_AT: moment },
        });
        await fill(server, victim, marks);
        expect(
          await findBytes(data.path, [victim, marks.value]),
          'there is something to be found',
        ).not.toEqual([]);
        const answer = call(server, 'DELETE', `/v1/tenants/${victim}`).catch(() => undefined);
        if (moment === 'never') expect((await answer)?.status).toBeLessThan(300);
        else if (await isDeadSoon(server)) server = await startServer(data.path);
        else survived.push(moment);
        await answer;
        await gone(server, victim);
        expect(
          await findBytes(data.path, [victim, ...Object.values(marks)]),
          `killed at ${moment}: what is left`,
        ).toEqual([]);
      }
      expect(survived, 'moments that were never reached').toEqual([]);
      expect(await answers(server, 'neighbour', other)).toEqual(before);
      // Made anew it starts empty.
      await call(server, 'PUT', '/v1/tenants/victim0z', {});
      const anew = acting(server, 'victim0z');
      expect((await anew('GET', '/v1/streams')).json).toEqual({ streams: [] });
      await fill(server, 'victim0z', marksOf('victim0z'));
      const { json } = await anew('GET', `/v1/streams/${marksOf('victim0z').stream}/events?limit=1000`);
      const offsets = (json.events as { _offset: number }[]).map(({ _offset }) => _offset);
      expect([offsets.length, Math.min(...offsets)]).toEqual([30, 0]);
    } finally {
      await server.end('SIGKILL');
      await data.remove();
    }
  }, 300_000);
});
