import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Call, type Parts, startParts } from './support.ts';
import { ACME, OTHER, startTenants, type Tenants } from './tenancy-support.ts';

let parts: Parts;
let server: Tenants;
let call: Call;
beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  call = server.operatorFor(ACME);
  await call('PUT', '/v1/tables/channels', {
    key: 'id',
    fields: { id: 'uint64', name: 'string', country: { type: 'string', optional: true } },
  });
  await call('PUT', '/v1/streams/views', { fields: { channel: 'uint64' }, dedupe: false });
  await call('POST', '/v1/streams/views/events?ack=stored', [{ channel: 1 }, { channel: 1 }, { channel: 9 }]);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const ROWS = '/v1/tables/channels/rows';
const sql = async (query: string, as = call) => (await as('POST', '/v1/sql', { query })).json.rows;

describe('rows of a table over HTTP', () => {
  it('are written as JSON, NDJSON and CSV, and listed by key in pages', async () => {
    expect(await call('POST', ROWS, { id: 1, name: 'one', country: 'de' })).toMatchObject({
      status: 200,
      json: { rows: 1, changed: 1 },
    });
    const csv = await call('POST', ROWS, 'id,name\n18446744073709551615,last\n', {
      'content-type': 'text/csv',
    });
    expect(csv.json).toEqual({ rows: 1, changed: 1 });
    const lines = await call('POST', ROWS, '{"id":2,"name":"two"}\n{"id":10,"name":"ten"}\n', {
      'content-type': 'application/x-ndjson',
    });
    expect(lines.json).toEqual({ rows: 2, changed: 2 });
    const first = await call('GET', `${ROWS}?limit=3`);
    expect(first.json.rows.map(({ name }: { name: string }) => name)).toEqual(['one', 'two', 'ten']);
    const second = await call('GET', `${ROWS}?limit=3&cursor=${first.json.next_cursor}`);
    expect(second.text).toContain('"id":18446744073709551615,"name":"last","country":null');
    expect(second.json.next_cursor).toBeNull();
    const found = await call('GET', `${ROWS}?where=country:eq:de`);
    expect(found.json.rows).toMatchObject([{ id: 1, name: 'one' }]);
    for (const wrong of ['where=colour:eq:red', 'cursor=x', 'at=never', 'limit=0'])
      expect([wrong, (await call('GET', `${ROWS}?${wrong}`)).status]).toEqual([wrong, 400]);
  });

  it('are removed, and were there before', async () => {
    const before = '2024-01-01T00:00:00Z';
    await call('POST', `${ROWS}?valid_from=${before}`, { id: 3, name: 'three' });
    expect((await call('DELETE', `${ROWS}/3`)).json).toEqual({ rows: 1, changed: 1 });
    expect((await call('GET', `${ROWS}?where=id:eq:3`)).json.rows).toEqual([]);
    expect((await call('GET', `${ROWS}?where=id:eq:3&at=2024-06-01`)).json.rows).toMatchObject([
      { name: 'three', _valid_from: '2024-01-01T00:00:00.000Z' },
    ]);
    expect((await call('DELETE', `${ROWS}/three`)).status).toBe(400);
  });

  it('that do not fit are told, and none is taken', async () => {
    const refused = await call('POST', ROWS, [{ id: 50, name: 'x' }, { id: -1, name: 'x' }, { id: 51 }]);
    expect(refused).toMatchObject({
      status: 400,
      json: { type: '/problems/bad-body', issues: [{ path: 'rows.1.id' }, { path: 'rows.2.name' }] },
    });
    expect((await call('GET', `${ROWS}?where=id:eq:50`)).json.rows).toEqual([]);
    expect((await call('POST', `${ROWS}?valid_from=2999-01-01`, { id: 1, name: 'x' })).status).toBe(400);
    expect((await call('POST', `${ROWS}?valid=1`, { id: 1, name: 'x' })).status).toBe(400);
    expect((await call('POST', ROWS, 'x', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await call('POST', '/v1/tables/nothing/rows', { id: 1 })).status).toBe(404);
    expect((await call('POST', ROWS, '[')).status).toBe(400);
  });

  it('come from a question in SQL, asked as a guest of the tenant', async () => {
    const query = {
      sql: "SELECT channel AS id, concat('channel ', toString(channel)) AS name FROM views GROUP BY channel",
    };
    await call('PUT', '/v1/tables/seen', { key: 'id', fields: { id: 'uint64', name: 'string' } });
    expect((await call('POST', '/v1/tables/seen/rows', query)).json).toEqual({ rows: 2, changed: 2 });
    expect((await call('POST', '/v1/tables/seen/rows', query)).json).toEqual({ rows: 2, changed: 0 });
    expect(await sql('SELECT name FROM seen ORDER BY id')).toEqual([
      { name: 'channel 1' },
      { name: 'channel 9' },
    ]);
    const hostile = ["SELECT 1 AS id, file('/etc/passwd') AS name", 'SELECT name FROM system.tables'];
    for (const text of hostile)
      expect((await call('POST', '/v1/tables/seen/rows', { sql: text })).json.type).toBe(
        '/problems/bad-question',
      );
    const writer = server.as(await server.makeKey(ACME, 'writer', { scopes: ['definitions:write'] }));
    expect((await writer('POST', '/v1/tables/seen/rows', query)).status).toBe(403);
    expect((await writer('POST', '/v1/tables/seen/rows', { id: 5, name: 'five' })).status).toBe(200);
    const nothing = { sql: "SELECT channel AS id, 'x' AS name FROM views WHERE channel = 77" };
    expect((await call('POST', '/v1/tables/seen/rows', nothing)).json).toEqual({ rows: 0, changed: 0 });
  });

  it('are relations of questions in SQL, with their history beside them', async () => {
    await call('POST', `${ROWS}?valid_from=2024-01-01`, { id: 77, name: 'old' });
    await call('POST', `${ROWS}?valid_from=2024-02-01`, { id: 77, name: 'new' });
    expect(await sql('SELECT name FROM channels WHERE id = 77')).toEqual([{ name: 'new' }]);
    expect(
      await sql(
        'SELECT name, _valid_from, _valid_to FROM channels_history WHERE id = 77 ORDER BY _valid_from',
      ),
    ).toEqual([
      { name: 'old', _valid_from: '2024-01-01T00:00:00.000Z', _valid_to: '2024-02-01T00:00:00.000Z' },
      { name: 'new', _valid_from: '2024-02-01T00:00:00.000Z', _valid_to: null },
    ]);
    expect(
      await sql(
        'SELECT c.name AS name, count() AS n FROM views AS v LEFT JOIN channels AS c ON v.channel = c.id GROUP BY name ORDER BY n',
      ),
    ).toEqual([
      { name: null, n: 1 },
      { name: 'one', n: 2 },
    ]);
  });

  it('do not exist for a key that sees only some rows of streams', async () => {
    const filtered = server.as(
      await server.makeKey(ACME, 'filtered', {
        scopes: ['stats:read', 'sql:read'],
        rowFilters: { views: ['channel:eq:1'] },
      }),
    );
    expect((await filtered('GET', ROWS)).status).toBe(403);
    expect((await filtered('POST', ROWS, { id: 1, name: 'x' })).status).toBe(403);
    for (const name of ['channels', 'channels_history']) {
      const asked = await filtered('POST', '/v1/sql', { query: `SELECT * FROM ${name}` });
      const nobodys = await filtered('POST', '/v1/sql', { query: `SELECT * FROM nobodys` });
      expect(asked.json.detail).toBe(nobodys.json.detail.replace('nobodys', name));
    }
  });

  it('are listed to clients of ClickHouse as tables', async () => {
    const own = server.as(await server.makeKey(ACME, 'reader', { scopes: ['sql:read'] }));
    const headers = { 'x-clickhouse-format': 'TSV' };
    const listed = await own('POST', '/clickhouse/?query=SHOW%20TABLES', undefined, headers);
    expect(listed.text.split('\n')).toEqual(
      expect.arrayContaining(['channels', 'channels_history', 'views']),
    );
    const found = await own(
      'POST',
      `/clickhouse/?query=${encodeURIComponent('SELECT name FROM channels WHERE id = 1')}`,
      undefined,
      headers,
    );
    expect(found.text).toBe('one\n');
  });

  it('of another tenant are nowhere, by whatever name they are asked for', async () => {
    const guest = server.as(await server.makeKey(OTHER, 'guest', { scopes: ['sql:read', 'stats:read'] }));
    const names = [
      ...['channels', 'channels_history', 'dimension_channels', 't_acme.dimension_channels'],
      ...['`t_acme`.`dimension_channels`', 'acme.channels', 'stage_dimension_channels'],
    ];
    for (const name of names) {
      const asked = await guest('POST', '/v1/sql', { query: `SELECT * FROM ${name}` });
      expect([name, asked.status]).toEqual([name, 400]);
      expect(asked.text).not.toContain('one');
    }
    // Nor does its own have the tables behind them.
    for (const name of ['dimension_channels', 't_acme.dimension_channels'])
      expect((await call('POST', '/v1/sql', { query: `SELECT * FROM ${name}` })).status).toBe(400);
    expect((await guest('GET', ROWS)).status).toBe(404);
  });

  it('may have any names, keys and values, and each is only itself', async () => {
    const column = 'a`b\\c\'d"e';
    const made = await call('PUT', '/v1/tables/odd', {
      key: 'k',
      fields: {
        k: 'string',
        [column]: { type: 'string', optional: true },
        select: { type: 'int32', optional: true },
      },
    });
    const named = made.status === 201;
    // A name that no SQL could quote is refused where it is defined.
    if (!named) {
      expect(made.status).toBe(400);
      await call('PUT', '/v1/tables/odd', {
        key: 'k',
        fields: { k: 'string', select: { type: 'int32', optional: true } },
      });
    }
    const keys = [
      "'; DROP TABLE channels; --",
      '`',
      '\\',
      '{p0:String}',
      '%',
      'ü\u0000z',
      '../x',
      'a/b',
      ' ',
      '🦊',
    ];
    const rows = keys.map((k, n) => ({ k, select: n }));
    expect((await call('POST', '/v1/tables/odd/rows', rows)).json).toEqual({
      rows: keys.length,
      changed: keys.length,
    });
    expect((await call('POST', '/v1/tables/odd/rows', rows)).json.changed).toBe(0);
    const listed = (await call('GET', '/v1/tables/odd/rows')).json.rows as { k: string; select: number }[];
    expect(new Map(listed.map((row) => [row.k, row.select]))).toEqual(new Map(keys.map((k, n) => [k, n])));
    for (const [n, k] of keys.entries()) {
      const found = await call('GET', `/v1/tables/odd/rows?where=${encodeURIComponent(`k:eq:${k}`)}`);
      expect([k, found.json.rows.map((row: { select: number }) => row.select)]).toEqual([k, [n]]);
    }
    for (const k of keys.slice(0, 8)) {
      const gone = await call('DELETE', `/v1/tables/odd/rows/${encodeURIComponent(k)}`);
      expect([k, gone.json]).toEqual([k, { rows: 1, changed: 1 }]);
    }
    expect((await call('GET', '/v1/tables/odd/rows')).json.rows.length).toBe(2);
    expect((await call('GET', ROWS)).json.rows.length).toBeGreaterThan(0);
  });

  it('of CSV and NDJSON that do not fit are told by their numbers, and nothing is taken', async () => {
    const before = (await call('GET', ROWS)).text;
    const csv = 'id,name\n100,a\nhundred,b\n102,c\n-1,d\n';
    const wrong = await call('POST', ROWS, csv, { 'content-type': 'text/csv' });
    expect(wrong.status).toBe(400);
    expect(wrong.json.issues.map((issue: { path: string }) => issue.path)).toEqual([
      'rows.1.id',
      'rows.3.id',
    ]);
    const lines = '{"id":100,"name":"a"}\n{"id":101\n{"id":102}\n';
    const broken = await call('POST', ROWS, lines, { 'content-type': 'application/x-ndjson' });
    expect(
      broken.json.issues.map((issue: { path: string }) => issue.path.split('.').slice(0, 2).join('.')),
    ).toEqual(expect.arrayContaining(['rows.1']));
    const ragged = await call('POST', ROWS, 'id,name\n100,a,b,c\n', { 'content-type': 'text/csv' });
    expect(ragged.status).toBe(400);
    const unknown = await call('POST', ROWS, 'id,nam\n100,a\n', { 'content-type': 'text/csv' });
    expect(unknown.status).toBe(400);
    expect((await call('GET', ROWS)).text).toBe(before);
  });
});
