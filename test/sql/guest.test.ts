/** The second door: what a guest's session refuses even if a question should come past the guard. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { type Guest, type GuestLimits, openChdb } from '../../src/store/index.ts';

let directory: string;
let engine: ReturnType<typeof openChdb>;
const LIMITS: GuestLimits = { timeoutSeconds: 20, memoryBytesMax: 2 ** 27, resultBytesMax: 2 ** 27 };
const TENANT = 'a' as TenantId;
const LONG = 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-guest-'));
  engine = openChdb({ directory: `${directory}/store`, readers: 1, writers: 1 });
  await engine.execute({ text: 'CREATE DATABASE t_a' });
  await engine.execute({ text: 'CREATE TABLE t_a.x (n UInt64) ENGINE = MergeTree ORDER BY n' });
  await engine.execute({ text: 'INSERT INTO t_a.x SELECT 1' });
});
afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

async function withGuest<T>(
  work: (guest: Guest) => Promise<T>,
  limits = LIMITS,
  tenant: string = TENANT,
): Promise<T> {
  const guest = engine.guest(tenant as TenantId, limits);
  try {
    return await work(guest);
  } finally {
    await guest.close();
  }
}
const ask = async (guest: Guest, text: string): Promise<string> =>
  Buffer.from(await guest.query({ text }, 'TSVRaw'))
    .toString('utf8')
    .trim();

/** Waits until nothing of the guests runs. */
async function untilIdle(): Promise<void> {
  const running = {
    text: "SELECT count() AS n FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'",
  };
  while ((await engine.rows<{ n: string }>(running))[0]!.n !== '0');
}

describe('a guest', () => {
  it('reads, and its limits stand', async () => {
    await withGuest(async (guest) => {
      expect(await ask(guest, 'SELECT n FROM t_a.x')).toBe('1');
      expect(
        await ask(
          guest,
          "SELECT getSetting('readonly'), getSetting('max_threads'), getSetting('max_memory_usage'), getSetting('max_execution_time'), getSetting('allow_ddl')",
        ),
      ).toBe(`1\t1\t${2 ** 27}\t20\tfalse`);
    });
  });

  it('neither writes nor changes a setting, nor reaches outside by a table function', async () => {
    const out = join(directory, 'out');
    await withGuest(async (guest) => {
      for (const text of [
        'INSERT INTO t_a.x SELECT 2',
        'CREATE TABLE t_a.y (n UInt64) ENGINE = Memory',
        'CREATE TEMPORARY TABLE y (n UInt64)',
        'CREATE FUNCTION f AS x -> x',
        'DROP TABLE t_a.x',
        'TRUNCATE TABLE t_a.x',
        'ALTER TABLE t_a.x DELETE WHERE 1',
        'SET readonly = 0',
        'SET max_memory_usage = 0',
        'SELECT 1 SETTINGS readonly = 0',
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        `INSERT INTO FUNCTION file('${out}') SELECT 1`,
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', t_a.x)",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
      ]) {
        const outcome = await ask(guest, text).catch(() => 'refused');
        expect([text, outcome]).toEqual([text, 'refused']);
      }
      expect(await ask(guest, 'SELECT count() FROM t_a.x')).toBe('1');
    });
    expect(existsSync(out)).toBe(false);
  });

  it('reads nothing of another tenant, known at the start or newer, nor of no tenant', async () => {
    const names: Record<string, string> = { t_b: 'known', t_c: 'newer', default: 'nobody' };
    for (const database of Object.keys(names)) {
      await engine.execute({ text: `CREATE DATABASE IF NOT EXISTS ${database}` });
      await engine.execute({ text: `CREATE TABLE ${database}.x (n UInt64) ENGINE = MergeTree ORDER BY n` });
      // What was there when the engine opened has a role; what comes later has not.
      if (database === 't_b') {
        await engine.close();
        engine = openChdb({ directory: `${directory}/store`, readers: 1, writers: 1 });
      }
    }
    const read = (tenant: string, table: string) =>
      withGuest((guest) => ask(guest, `SELECT count() FROM ${table}`).catch(() => 'refused'), LIMITS, tenant);
    expect(await read('a', 't_a.x')).toBe('1');
    expect(await read('b', 't_b.x')).toBe('0');
    expect(await read('c', 't_c.x')).toBe('0');
    for (const [tenant, table] of [
      ['a', 't_b.x'],
      ['a', 't_c.x'],
      ['a', 'default.x'],
      ['b', 't_a.x'],
      ['c', 't_a.x'],
      ['c', 't_b.x'],
      ['c', 'default.x'],
    ] as const) {
      expect([tenant, table, await read(tenant, table)]).toEqual([tenant, table, 'refused']);
    }
  });

  it('takes only one statement that reads, whatever it is wrapped in', async () => {
    const out = join(directory, 'written');
    await withGuest(async (guest) => {
      for (const text of [
        'SET ROLE millrace',
        'SET ROLE ALL',
        'SET ROLE DEFAULT',
        'USE t_a',
        'SYSTEM STOP MERGES',
        'KILL QUERY WHERE 1 ASYNC',
        'SHOW DATABASES',
        'EXPLAIN PLAN SELECT 1',
        'EXECUTE AS default SELECT 1',
        'SELECT 1; SET ROLE millrace',
        "SELECT 'a' ; SET ROLE millrace",
        "SELECT 'a\\'; SET ROLE millrace",
        "SELECT 'a''b'; SET ROLE millrace",
        "SELECT ‘ ' ’; SET ROLE millrace; SELECT ‘ ' ’",
        "SELECT $$ ' $$; SET ROLE millrace; SELECT $$ ' $$",
        "SELECT 1 /* ' */; SET ROLE millrace -- '",
        "SELECT 1 # '\n; SET ROLE millrace # '",
        `SELECT 1 INTO OUTFILE '${out}'`,
        `SELECT 1 INTO/**/OUTFILE '${out}'`,
        '(SELECT 1)',
        '',
      ]) {
        const outcome = await ask(guest, text).catch((error: { code: string }) => error.code);
        expect([text, outcome]).toEqual([text, 'bad-question']);
      }
      expect(await ask(guest, 'SELECT currentRoles()')).toBe("['guest_of_a']");
      expect(await ask(guest, "SELECT ';--' AS `;#`")).toBe(';--');
    });
    expect(existsSync(out)).toBe(false);
  });

  it('gets each chunk as a whole document of the format', async () => {
    const text = 'SELECT number AS n FROM numbers(200000)';
    await withGuest(async (guest) => {
      const chunks: string[] = [];
      for await (const chunk of guest.stream({ text }, 'CSVWithNames'))
        chunks.push(Buffer.from(chunk).toString('utf8'));
      expect(chunks.length).toBeGreaterThan(1);
      expect(chunks.every((chunk) => chunk.startsWith('"n"\n') && chunk.endsWith('\n'))).toBe(true);
    });
  });

  it('who leaves ends what runs, at once or in the middle of a stream, and begins nothing more', async () => {
    await withGuest(async (guest) => {
      const asked = ask(guest, LONG);
      guest.leave();
      await expect(asked).rejects.toMatchObject({ code: 'query-timeout' });
      await expect(ask(guest, 'SELECT 1')).rejects.toMatchObject({ code: 'query-timeout' });
    });
    await withGuest(async (guest) => {
      const text = 'SELECT sipHash64(number) FROM numbers(1000000000000)';
      for await (const chunk of guest.stream({ text }, 'TSV')) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
    });
    await untilIdle();
  });

  it('over its memory fails alone: others read and write meanwhile', async () => {
    const greedy = 'SELECT length(groupArray(sipHash64(number))) FROM numbers(100000000)';
    await withGuest(async (guest) => {
      const asked = ask(guest, greedy).catch((error: { code: string }) => error.code);
      const beside = await withGuest((another) => ask(another, 'SELECT sum(number) FROM numbers(1000)'));
      await engine.execute({ text: 'INSERT INTO t_a.x SELECT number FROM numbers(10)' });
      expect(beside).toBe('499500');
      expect(await asked).toBe('bad-question');
      expect(await ask(guest, 'SELECT count() FROM t_a.x')).toBe('11');
    });
  });

  it('is ended by the end of the engine', async () => {
    const other = await mkdtemp(join(tmpdir(), 'millrace-guest-'));
    await engine.close();
    const second = openChdb({ directory: other, readers: 1, writers: 1 });
    const guest = second.guest(TENANT, LIMITS);
    const asked = guest.query({ text: LONG }, 'TSV').catch((error: { code: string }) => error.code);
    const streaming = second
      .guest(TENANT, LIMITS)
      .stream({ text: 'SELECT sipHash64(number) FROM numbers(1000000000000)' }, 'TSV')
      [Symbol.asyncIterator]();
    await streaming.next();
    await second.close();
    expect(await asked).toBe('query-timeout');
    await streaming.return?.(undefined);
    await rm(other, { recursive: true, force: true });
    engine = openChdb({ directory: `${directory}/store`, readers: 1, writers: 1 });
  });
});

describe('the limits of a tenant', () => {
  it('hold for its guests and for no other, and narrow what a question may take anyway', async () => {
    const own: Record<string, object> = {
      small: { timeoutSeconds: 7, memoryBytesMax: 2 ** 24, readRowsMax: 500 },
      wide: { timeoutSeconds: 700, memoryBytesMax: 2 ** 40 },
    };
    await engine.close();
    engine = openChdb({
      ...{ directory: `${directory}/store`, readers: 1, writers: 1 },
      tenants: { weight: () => 1, areSeveral: () => false, limits: (tenant) => own[tenant] ?? {} },
    });
    const settings = ['max_execution_time', 'max_memory_usage', 'max_rows_to_read'];
    const read = (tenant: string) =>
      withGuest(
        (guest) => ask(guest, `SELECT ${settings.map((name) => `getSetting('${name}')`).join(', ')}`),
        LIMITS,
        tenant,
      );
    expect(await read('small')).toBe(`7\t${2 ** 24}\t500`);
    expect(await read('wide')).toBe(`20\t${2 ** 27}\t0`);
    expect(await read('a')).toBe(`20\t${2 ** 27}\t0`);
    const count = (tenant: string) =>
      withGuest((guest) => ask(guest, 'SELECT count() FROM numbers(1000) WHERE number > 1'), LIMITS, tenant);
    await expect(count('small')).rejects.toMatchObject({ code: 'bad-question' });
    expect(await count('wide')).toBe('998');
  });
});
