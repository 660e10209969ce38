/** The questions that may not be answered at one door may not be answered at this one. */
import { existsSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MARKER, startWorld, type World } from './clickhouse-world.ts';
import { HARMLESS, HOSTILE, withTable, withTableFunction } from './sql-hostile.ts';

const AT_A_TIME = 4;
let world: World;
const target = join(tmpdir(), `stolen-ch-${process.pid}.csv`);

/** Answered here by constants of ours, or by the tenant's own catalogue; what they say is checked below. */
const ANSWERED_HERE = new Set([
  ...['hostName()', 'fqdn()', 'version()', 'uptime()', 'currentUser()', 'user()', 'currentDatabase()'].map(
    (call) => `SELECT ${call}`,
  ),
  ...['serverUUID()', 'displayName()', 'connectionId()', 'timezone()', 'serverTimezone()'].map(
    (call) => `SELECT ${call}`,
  ),
]);
const STARTS_ANSWERED = /^(?:SHOW|EXISTS|USE) /i;
const TABLE_ANSWERED = /\bsystem\.|information_schema|`system`|`(?:INFORMATION_SCHEMA|information_schema)`/i;
const VALUES = /\bvalues\b/i;
/** FORMAT, and settings that are passed over or honoured: the answer is that of the question without them. */
const TAIL_TAKEN_OFF =
  /^SELECT 1(?: UNION ALL SELECT 2)? (?:FORMAT \w+|SETTINGS(?: |\/\*\*\/)max_memory_usage = 0)$/i;

beforeAll(async () => {
  world = await startWorld({
    sqlLimits: { timeoutSeconds: 5, memoryBytesMax: 2 ** 27 },
  });
});
afterAll(async () => {
  await world.close();
});

const ask = (query: string) =>
  world.ask(query.replaceAll('TARGET', target), {
    search: { param_t: 't_other.events_x', param_db: 't_other', param_f: 'file' },
  });

function expectSilent(query: string, text: string): void {
  for (const secret of [MARKER, 'root:x:', world.parts.directory, 'daemon:', '_relation_']) {
    expect(text.includes(secret), `${query.slice(0, 300)}: ${text.slice(0, 500)}`).toBe(false);
  }
  // The name of another database may come back only as it was asked for.
  if (!/t_other|Identifier/.test(query)) expect(text.includes('t_other'), query).toBe(false);
  if (!query.includes(hostname())) expect(text.split(/[\t\n",:]/).includes(hostname()), query).toBe(false);
}

async function expectHarmless(query: string, mayAnswer: boolean): Promise<void> {
  const reply = await ask(query).catch((error: unknown) => {
    throw new Error(`${query.slice(0, 300)} broke off`, { cause: error });
  });
  expectSilent(query, reply.text);
  if (mayAnswer && reply.status === 200) return;
  expect(reply.status, `${query.slice(0, 300)}: ${reply.text.slice(0, 300)}`).toBeGreaterThanOrEqual(400);
  expect(reply.text).toMatch(/^Code: \d+\. DB::Exception: [\s\S]+ \([A-Z_0-9]+\) \(version [\d.]+\)\n$/);
  expect(reply.headers.get('x-clickhouse-exception-code')).toBe(/\d+/.exec(reply.text)![0]);
}

async function expectAllHarmless(
  queries: readonly string[],
  mayAnswer: (query: string) => boolean,
): Promise<void> {
  for (let at = 0; at < queries.length; at += AT_A_TIME) {
    await Promise.all(
      queries.slice(at, at + AT_A_TIME).map((query) => expectHarmless(query, mayAnswer(query))),
    );
  }
}

const mayBeAnswered = (query: string): boolean =>
  ANSWERED_HERE.has(query) ||
  STARTS_ANSWERED.test(query) ||
  TABLE_ANSWERED.test(query) ||
  VALUES.test(query) ||
  TAIL_TAKEN_OFF.test(query);

describe('hostile questions', () => {
  for (const [kind, queries] of Object.entries(HOSTILE)) {
    it(`are refused over this door: ${kind}`, async () => {
      await expectAllHarmless(queries, mayBeAnswered);
    });
  }

  it('are refused with every table function that the engine knows', async () => {
    const names = await world.parts.deps.engine.rows<{ name: string }>({
      text: 'SELECT name FROM system.table_functions',
    });
    expect(names.length).toBeGreaterThan(50);
    await expectAllHarmless(
      names.flatMap(({ name }, index) => {
        const places = withTableFunction(name);
        // Each in some places; those that reach furthest in all.
        return /file|url|remote|exec/i.test(name)
          ? places.slice(index % 2, (index % 2) + 7)
          : [places[index % places.length]!];
      }),
      mayBeAnswered,
    );
  });

  it('read of the tables of a server only what is their own', async () => {
    const tables = await world.parts.deps.engine.rows<{ database: string; name: string }>({
      text: 'SELECT database, name FROM system.tables',
    });
    expect(tables.length).toBeGreaterThan(100);
    await expectAllHarmless(
      tables.flatMap(({ database, name }, index) => {
        const places = withTable(`\`${database}\`.\`${name}\``);
        return database.startsWith('t_') ? places : [places[index % places.length]!];
      }),
      (query) => TABLE_ANSWERED.test(query),
    );
  });

  it('that only look so are answered', async () => {
    for (const [query, expected] of HARMLESS) {
      expect([query, await world.rows(query)]).toEqual([query, expected]);
    }
  });

  it('leave nothing behind', async () => {
    expect(existsSync(target)).toBe(false);
    expect(await world.rows('SELECT page FROM visits ORDER BY page')).toEqual([
      { page: '/a' },
      { page: '/b' },
    ]);
  });
});

describe('what writes', () => {
  for (const query of [
    'INSERT INTO visits VALUES (1)',
    'CREATE TABLE a (b UInt8) ENGINE = Memory',
    'DROP TABLE visits',
    'ALTER TABLE visits DELETE WHERE 1',
    'TRUNCATE TABLE visits',
    'SET max_memory_usage = 0',
    'SET readonly = 0',
    'SYSTEM STOP MERGES',
    'KILL QUERY WHERE 1',
    'OPTIMIZE TABLE visits',
    "SELECT 1 INTO OUTFILE '/tmp/a'",
  ]) {
    it(`is READONLY: ${query}`, async () => {
      const reply = await world.ask(query);
      expect([reply.status, reply.text.split('.')[0]], reply.text).toEqual([500, 'Code: 164']);
    });
  }
});

describe('names of others', () => {
  it('are answered as names that exist nowhere, word for word', async () => {
    const of = async (query: string) => {
      const reply = await world.ask(query);
      return [reply.status, reply.headers.get('x-clickhouse-exception-code'), reply.text];
    };
    for (const [theirs, nowhere] of [
      ['SELECT * FROM t_other.events_x', 'SELECT * FROM t_nobody.events_x'],
      ['SELECT * FROM other.x', 'SELECT * FROM nobody.x'],
      ['SHOW TABLES FROM t_other', 'SHOW TABLES FROM t_nobody'],
      ['SHOW CREATE TABLE t_other.events_x', 'SHOW CREATE TABLE t_nobody.events_x'],
      ['DESCRIBE TABLE t_other.events_x', 'DESCRIBE TABLE t_nobody.events_x'],
      ['USE t_other', 'USE t_nobody'],
    ] as const) {
      const [status, code, text] = await of(theirs);
      expect([status, code], theirs).toEqual([404, '81']);
      expect([status, code, String(text).replaceAll('other', 'nobody')]).toEqual(await of(nowhere));
    }
    for (const table of ['default.nothing', 'system.constructor', 'information_schema.__proto__']) {
      const [status, code] = await of(`SELECT * FROM ${table}`);
      expect([status, code], table).toEqual([404, '60']);
    }
    expect(await world.rows("SELECT * FROM system.tables WHERE database LIKE 't%'")).toEqual([]);
    expect(await world.rows("SELECT * FROM system.columns WHERE name = 'secret'")).toEqual([]);
  });
});
