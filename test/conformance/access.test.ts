/** Rights in process: what roles hold back from a guest's session, and what they do not. No guard stands in front here. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Session } from 'chdb';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { tenantsIn, usersConfig } from '../../src/store/roles.ts';
import { assumption, codeOf, removePath, temporaryPath, weakness } from './support.ts';

const ROLES = 'src/store/roles.ts: guests run under a role that reads the database of their tenant only';
const GUARD = 'src/sql/guard.ts and src/store/guest-statement.ts: they alone hold this back';
const START = 'src/store/roles.ts: tenants that came after the start are newcomers until the next';
const ACCESS_DENIED = 497;

let directory: string;
let ours: Session;

const text = (session: Session, statement: string): string => session.query(statement, 'TSVRaw').trim();

/** What comes of each statement in a session of its own: the answer, or the code of the refusal. */
function asGuest(role: string, statement: string): string | number {
  const session = new Session(directory);
  try {
    session.query(`SET ROLE ${role}`);
    session.query('SET max_execution_time = 10, readonly = 1');
    return text(session, statement);
  } catch (cause) {
    return codeOf(cause);
  } finally {
    session.close();
  }
}

function open(tenants: readonly string[]): Session {
  const own = join(directory, 'access');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'users.xml'), usersConfig(tenants));
  const config = `<clickhouse><users_config>${own}/users.xml</users_config></clickhouse>`;
  writeFileSync(join(own, 'config.xml'), config);
  const session = new Session(directory, { connectionArgs: [`--config-file=${own}/config.xml`] });
  session.query('SET ROLE millrace');
  return session;
}

beforeAll(async () => {
  directory = await temporaryPath();
  ours = open(['a', 'b']);
  for (const tenant of ['a', 'b', 'c', 'a_b']) {
    ours.query(`CREATE DATABASE t_${tenant}`);
    ours.query(`CREATE TABLE t_${tenant}.x (n UInt64) ENGINE = MergeTree ORDER BY n`);
    ours.query(`INSERT INTO t_${tenant}.x SELECT 1`);
  }
});
afterAll(async () => {
  ours.close();
  await removePath(directory);
});

describe('roles in process', () => {
  assumption('the full role may do everything that our statements do', ROLES, () => {
    for (const statement of [
      'SYSTEM STOP MERGES t_a.x',
      'SYSTEM START MERGES t_a.x',
      'SYSTEM JEMALLOC PURGE',
      'ALTER TABLE t_a.x ADD COLUMN m UInt8',
      'OPTIMIZE TABLE t_a.x FINAL',
      'CREATE TABLE t_a.y AS t_a.x',
      'EXCHANGE TABLES t_a.x AND t_a.y',
      'EXCHANGE TABLES t_a.x AND t_a.y',
      'DROP TABLE t_a.y',
      "KILL QUERY WHERE query_id = 'none' ASYNC",
      'KILL MUTATION WHERE 0',
      "SELECT count() FROM file('/etc/passwd', 'LineAsString')",
      'SELECT count() FROM system.parts',
      'SELECT name FROM system.roles',
      'CHECK TABLE t_a.x',
    ]) {
      ours.query(statement);
    }
  });

  assumption('a role reads its tenant, and no other whose name begins alike', ROLES, () => {
    expect(asGuest('guest_of_a', 'SELECT count() FROM t_a.x')).toBe('1');
    for (const table of ['t_b.x', 't_c.x', 't_a_b.x', 't_a.none', 'default.x']) {
      expect([table, asGuest('guest_of_a', `SELECT count() FROM ${table}`)]).not.toEqual([table, '1']);
    }
    expect(asGuest('guest_of_a', 'SELECT count() FROM t_b.x')).toBe(ACCESS_DENIED);
    expect(asGuest('guest_of_a', 'SELECT * FROM t_a.x WHERE n IN (SELECT n FROM t_b.x)')).toBe(ACCESS_DENIED);
    expect(asGuest('guest_of_a', "SELECT hasColumnInTable('t_b', 'x', 'n')")).toBe(ACCESS_DENIED);
    expect(asGuest('guest_of_a', "SELECT name FROM system.databases WHERE name LIKE 't%'")).toBe('t_a');
    expect(asGuest('guest_of_a', "SELECT database FROM system.tables WHERE database LIKE 't%'")).toBe('t_a');
  });

  assumption('newcomers read no database that was there at the start', ROLES, () => {
    expect(asGuest('guest_newcomers', 'SELECT count() FROM t_c.x')).toBe('1');
    expect(asGuest('guest_newcomers', 'SELECT count() FROM t_a.x')).toBe(ACCESS_DENIED);
    expect(asGuest('guest_newcomers', 'SELECT count() FROM t_b.x')).toBe(ACCESS_DENIED);
  });

  assumption(
    'a guest reaches nothing outside by a table function, even where settings are lifted',
    ROLES,
    () => {
      for (const call of [
        "file('/etc/passwd', 'LineAsString')",
        "url('http://127.0.0.1:1/', 'LineAsString')",
        "remote('127.0.0.1:1', 't_b.x')",
        "executable('id', 'TSV', 'a String')",
        "mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "format(TSV, 'a UInt8', '1')",
        'loop(t_b.x)',
        'view(SELECT * FROM t_b.x)',
        'mergeTreeIndex(t_b, x)',
        "dictionary('x')",
      ]) {
        const nested = `SELECT * FROM (SELECT * FROM ${call} SETTINGS readonly = 0)`;
        expect([call, asGuest('guest_of_a', nested)]).toEqual([call, ACCESS_DENIED]);
      }
    },
  );

  assumption('a guest changes nothing, even where settings are lifted', ROLES, () => {
    for (const statement of [
      'INSERT INTO t_a.x SELECT 2',
      'ALTER TABLE t_a.x DROP COLUMN n',
      'DROP TABLE t_a.x',
      'OPTIMIZE TABLE t_a.x',
      'CREATE TABLE t_a.z (n UInt8) ENGINE = Memory',
      'SYSTEM STOP MERGES t_a.x',
      'SYSTEM FLUSH LOGS',
      'SYSTEM SHUTDOWN',
      'SET readonly = 0',
      'SELECT 1 SETTINGS readonly = 0',
      'SHOW CREATE TABLE t_b.x',
      'SELECT * FROM system.roles',
      'EXECUTE AS default SELECT 1',
    ]) {
      expect([statement, typeof asGuest('guest_of_a', statement)]).toEqual([statement, 'number']);
    }
  });

  assumption('the file of users is read once, and not needed behind it', START, async () => {
    await removePath(join(directory, 'access'));
    new Session(directory).close();
    expect(readdirSync(directory).includes('access')).toBe(false);
  });

  assumption('databases lie in the directory under their names', START, () => {
    expect(tenantsIn(directory)).toEqual(['a', 'a_b', 'b', 'c']);
    expect(tenantsIn(join(directory, 'nowhere'))).toEqual([]);
  });
});

describe('what roles do not hold back', () => {
  const outcome = (statement: string) => asGuest('guest_of_a', statement);

  weakness('any session takes any role by a statement of its own, also a second one of a text', GUARD, () => {
    expect(outcome('SET ROLE millrace')).toBe('');
    expect(outcome('SELECT 1; SET ROLE millrace; SELECT count() FROM t_b.x')).toBe('1\n1');
  });

  weakness('the function file asks for no right', GUARD, () => {
    expect(outcome("SELECT position(file('/etc/passwd'), 'root') > 0")).toBe('1');
  });

  weakness('INTO OUTFILE asks for no right', GUARD, () => {
    const out = join(directory, 'written.csv');
    expect(outcome(`SELECT 1 INTO OUTFILE '${out}'`)).toBe('');
    expect(existsSync(out)).toBe(true);
  });

  weakness('a guest kills queries of ours: there is one user', GUARD, () => {
    expect(outcome("KILL QUERY WHERE query LIKE 'KILL%nothing' ASYNC")).toBe('');
  });

  weakness('nested settings lift readonly', GUARD, () => {
    expect(outcome("SELECT * FROM (SELECT getSetting('readonly') SETTINGS readonly = 0)")).toBe('0');
  });

  weakness('the tree of a question about a table that may not be read is shown', GUARD, () => {
    expect(String(outcome('EXPLAIN QUERY TREE SELECT * FROM t_b.x'))).toContain('t_b.x');
  });

  weakness('tables of the engine about itself can be read', GUARD, () => {
    expect(outcome("SELECT name FROM system.settings WHERE name = 'readonly'")).toBe('readonly');
  });

  weakness('roles cannot be made or read again while the engine runs', START, () => {
    expect(() => ours.query('CREATE ROLE late')).toThrow(/no writeable access storage/);
    expect(() => ours.query('SYSTEM RELOAD CONFIG')).toThrow(/not supported/);
    open(['a', 'b', 'c']).close();
    ours.query('SYSTEM RELOAD USERS');
    expect(() => ours.query('SET ROLE guest_of_c')).toThrow(/no role/);
  });
});
