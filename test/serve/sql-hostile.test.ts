/** Invariant 6, as far as SQL can break it: nobody's question shows or touches what is not his. */
import { existsSync, readdirSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HARMLESS, HOSTILE, withTable, withTableFunction } from './sql-hostile.ts';
import { type Parts, type Reply, startParts, startServer, VISITS } from './support.ts';

const AT_A_TIME = 4;
const MARKER = 'MARKER-of-another-tenant-4f81c2';
let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
let before: string;

const rows = <Row>(text: string) => parts.deps.engine.rows<Row>({ text });
/** Apart from the directory of the data, whose name no answer may hold. */
const target = join(tmpdir(), `stolen-${process.pid}.csv`);

/** Everything that a question could have made or taken away. */
async function traces(): Promise<string> {
  const made = await rows(
    "SELECT database, name, toString(uuid) AS uuid, total_rows FROM system.tables WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') ORDER BY ALL",
  );
  const functions = await rows("SELECT name FROM system.functions WHERE origin != 'System' ORDER BY ALL");
  const databases = await rows('SELECT name FROM system.databases ORDER BY ALL');
  return JSON.stringify(
    [made, functions, databases, readdirSync(parts.directory), readdirSync('.')],
    null,
    1,
  );
}

/** What no answer may hold: another's data, the machine, its paths. */
function expectSilent(query: string, reply: Reply): void {
  for (const secret of [MARKER, 'root:x:', parts.directory, 'daemon:', '26.7.2']) {
    expect(reply.text.includes(secret), `${query.slice(0, 300)}: ${reply.text.slice(0, 500)}`).toBe(false);
  }
  if (!query.includes(hostname())) expect(reply.text.includes(`"${hostname()}"`), query).toBe(false);
}

const ask = (query: string) =>
  server.call('POST', '/v1/sql', {
    query: query.replaceAll('TARGET', target),
    params: { t: 't_other.events_x', db: 't_other', f: 'file' },
  });

async function expectRefused(query: string): Promise<void> {
  const reply = await ask(query).catch((error: unknown) => {
    throw new Error(`${query.slice(0, 300)} broke off`, { cause: error });
  });
  const told = [query.slice(0, 300), reply.status, reply.json.type];
  const empty = query === '';
  expect(told, reply.text.slice(0, 500)).toEqual([
    query.slice(0, 300),
    400,
    empty ? '/problems/bad-request' : '/problems/bad-question',
  ]);
  expect(reply.headers.get('content-type')).toContain('application/problem+json');
  expectSilent(query, reply);
}

async function expectAllRefused(queries: readonly string[]): Promise<void> {
  for (let at = 0; at < queries.length; at += AT_A_TIME) {
    await Promise.all(queries.slice(at, at + AT_A_TIME).map(expectRefused));
  }
}

beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts, {
    sqlLimits: { timeoutSeconds: 5, memoryBytesMax: 2 ** 27 },
  });
  await server.call('PUT', '/v1/streams/visits', { ...VISITS, eventId: undefined });
  await server.call('PUT', '/v1/rollups/by_page', {
    from: 'visits',
    by: ['page'],
    every: '1m',
    measures: { visits: 'count()', seconds: 'sum(seconds)' },
  });
  await server.call(
    'POST',
    '/v1/streams/visits/events?ack=stored',
    '[{"page":"/a","seconds":1},{"page":"/b","seconds":2}]',
  );
  await parts.execute('CREATE DATABASE t_other');
  for (const table of ['t_other.events_x', 't_default.stage_visits', 't_default.shadow_events_visits']) {
    await parts.execute(`CREATE TABLE ${table} (secret String) ENGINE = MergeTree ORDER BY secret`);
    await parts.execute(`INSERT INTO ${table} SELECT '${MARKER}'`);
  }
  before = await traces();
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

describe('hostile questions', () => {
  for (const [kind, queries] of Object.entries(HOSTILE)) {
    it(`are refused: ${kind}`, async () => {
      await expectAllRefused(queries);
    });
  }

  it('are many', () => {
    expect(Object.values(HOSTILE).flat().length).toBeGreaterThan(150);
  });

  it('are refused with every table function that the engine knows, in every place', async () => {
    const names = (await rows<{ name: string }>('SELECT name FROM system.table_functions')).map(
      ({ name }) => name,
    );
    expect(names).toContain('file');
    expect(names.length).toBeGreaterThan(50);
    await expectAllRefused(names.flatMap(withTableFunction));
  }, 240_000);

  it('are refused with every table that is there and theirs under no name', async () => {
    const tables = await rows<{ database: string; name: string }>('SELECT database, name FROM system.tables');
    expect(tables.length).toBeGreaterThan(100);
    const queries = tables.flatMap(({ database, name }, index) => {
      const places = withTable(`\`${database}\`.\`${name}\``);
      // Each in one place; those of tenants in all.
      return database.startsWith('t_') ? places : [places[index % places.length]!];
    });
    await expectAllRefused(queries);
  }, 240_000);

  it('that only look so are answered', async () => {
    for (const [query, expected] of HARMLESS) {
      const reply = await ask(query);
      expect(reply.status, `${query}: ${reply.text}`).toBe(200);
      expect([query, reply.json.rows]).toEqual([query, expected]);
      expectSilent(query, reply);
    }
  });

  it('leave nothing behind', async () => {
    expect(existsSync(target)).toBe(false);
    expect(await traces()).toBe(before);
    const reply = await ask('SELECT page FROM visits ORDER BY page');
    expect(reply.json.rows).toEqual([{ page: '/a' }, { page: '/b' }]);
  });
});
