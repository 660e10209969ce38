/** Questions that take too long or too much, and sessions side by side. */
import { drainPending, Session } from 'chdb';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { assumption, codeOf, Scratch, weakness } from './support.ts';

const ENDLESS = 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1';
const CANCEL =
  'src/store/chdb.ts: a question whose asker went away is ended by KILL QUERY on a session of its own';
const LIMITS = 'src/store/chdb.ts: every question carries limits of time and memory';

let scratch: Scratch;
let control: Session;
beforeAll(async () => {
  scratch = await Scratch.open();
  control = new Session(scratch.directory);
});
afterAll(async () => {
  control.close();
  await scratch.close();
});

const kill = (label: string): string =>
  control.query(`KILL QUERY WHERE Settings['log_comment'] = '${label}' ASYNC`);
const running = (label: string): number =>
  Number(
    control.query(
      `SELECT count() FROM system.processes WHERE Settings['log_comment'] = '${label}' AND NOT is_cancelled`,
      'TSVRaw',
    ),
  );
async function untilRunning(label: string): Promise<void> {
  while (running(label) === 0) await new Promise((done) => setTimeout(done, 5));
}

describe('cancelling', () => {
  assumption(
    'KILL QUERY by log_comment from another session ends the question with code 394, and the session serves on',
    CANCEL,
    async () => {
      scratch.ask("SET log_comment = 'one'");
      const asked = scratch.session.queryAsync(ENDLESS).then(() => 0, codeOf);
      await untilRunning('one');
      kill('one');
      expect(await asked).toBe(394);
      expect(scratch.ask('SELECT 1')).toBe('1');
    },
  );

  assumption('it ends only the question that bears the label', CANCEL, async () => {
    scratch.ask("SET log_comment = 'kept'");
    const asked = scratch.session.queryAsync(ENDLESS).then(() => 0, codeOf);
    await untilRunning('kept');
    kill('other');
    expect(running('kept')).toBe(1);
    kill('kept');
    expect(await asked).toBe(394);
  });

  weakness('an AbortSignal rejects at once while the engine computes on', CANCEL, async () => {
    scratch.ask("SET log_comment = 'aborted'");
    const abort = new AbortController();
    const asked = scratch.session
      .queryAsync(ENDLESS, { signal: abort.signal })
      .catch((cause: Error) => cause.name);
    await untilRunning('aborted');
    abort.abort();
    expect(await asked).toBe('AbortError');
    expect(running('aborted')).toBe(1);
    kill('aborted');
    await drainPending();
    expect(scratch.ask('SELECT 1')).toBe('1');
  });

  assumption('a stream that is left early frees its session', 'src/store/chdb.ts (stream)', async () => {
    for await (const chunk of scratch.session.queryStream('SELECT number FROM numbers(1000000000)')) {
      expect(chunk.numRows).toBeGreaterThan(0);
      break;
    }
    expect(scratch.ask('SELECT 1')).toBe('1');
  });
});

describe('limits', () => {
  for (const [what, code, statement] of [
    [
      'memory',
      241,
      'SELECT length(groupArray(number)) FROM numbers(100000000) SETTINGS max_memory_usage = 50000000',
    ],
    ['time', 159, `${ENDLESS} SETTINGS max_execution_time = 0.2`],
    [
      'rows of the answer',
      396,
      "SELECT number FROM numbers(1000) SETTINGS max_result_rows = 10, result_overflow_mode = 'throw'",
    ],
    [
      'rows to read',
      158,
      "SELECT count() FROM numbers(1000) WHERE number > 5 SETTINGS max_rows_to_read = 10, read_overflow_mode = 'throw'",
    ],
  ] as const) {
    assumption(`on ${what} ends the question with code ${code}, and the next one is answered`, LIMITS, () => {
      expect(scratch.code(statement)).toBe(code);
      expect(scratch.ask('SELECT 1')).toBe('1');
    });
  }

  assumption(
    'on memory ends an insert with nothing of it stored',
    'src/ingest: such a batch is simply tried again',
    () => {
      scratch.ask('CREATE TABLE a.t (x UInt64) ENGINE = MergeTree ORDER BY x');
      const code = scratch.code(
        'INSERT INTO a.t SELECT sipHash64(number) FROM numbers(20000000) SETTINGS max_memory_usage = 50000000, max_insert_block_size = 100000000, min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 100000000000',
      );
      expect(code).toBe(241);
      expect(scratch.count('t')).toBe(0);
    },
  );
});

describe('sessions', () => {
  const POOL = 'src/store/session-pool.ts: one session serves one caller at a time, several run side by side';

  assumption(
    'several sessions on one path write and read side by side, and nothing is lost',
    POOL,
    async () => {
      scratch.ask("SET log_comment = ''");
      scratch.ask('CREATE TABLE a.many (w UInt8, x UInt64) ENGINE = MergeTree ORDER BY x');
      const sessions = Array.from({ length: 4 }, () => new Session(scratch.directory));
      const work = sessions.map(async (session, writer) => {
        for (let i = 0; i < 15; i += 1) {
          await session.queryAsync(`INSERT INTO a.many SELECT ${writer}, number FROM numbers(1000)`);
          await session.queryAsync('SELECT sum(x) FROM a.many');
        }
      });
      await Promise.all(work);
      for (const session of sessions) session.close();
      expect(
        scratch.ask('SELECT count(), min(n), max(n) FROM (SELECT w, count() AS n FROM a.many GROUP BY w)'),
      ).toBe('4\t15000\t15000');
    },
  );

  weakness(
    'a process has one data directory: a session on another is refused while one is open',
    'src/store/chdb.ts: one store per process',
    () => {
      expect(() => new Session(`${scratch.directory}-other`)).toThrow(/one active data directory/);
    },
  );

  weakness(
    'a session with readonly=1 still reads files of the machine',
    'src/sql/guard.ts: what a statement may hold is decided over the engine’s parse',
    () => {
      const readonly = new Session(scratch.directory);
      readonly.query('SET readonly = 1');
      expect(() => readonly.query('CREATE TABLE a.no (x UInt8) ENGINE = Memory')).toThrow();
      expect(readonly.query("SELECT length(file('/etc/passwd')) > 0", 'TSVRaw').trim()).toBe('1');
      readonly.close();
    },
  );
});

describe('what is computed for rows that a condition leaves out', () => {
  const table = 'a.filtered';
  const plan = (rows: string): string =>
    scratch.ask(`EXPLAIN PLAN actions = 1 SELECT count() FROM (${rows}) WHERE intDiv(1, size) = 1`);
  /** The step that reads the table, with the conditions that are tried while it reads. */
  const reading = (text: string): string => text.slice(text.indexOf('ReadFromMergeTree'));
  const BARRIER =
    'src/questions/relations.ts: a key with row filters sees rows through a LIMIT that no table reaches';

  beforeAll(() => {
    scratch.ask(`CREATE TABLE ${table} (own UInt64, size UInt8) ENGINE = MergeTree ORDER BY tuple()`);
    scratch.ask(`INSERT INTO ${table} SELECT number % 2, number % 2 FROM numbers(1000)`);
  });

  weakness('a condition from above is computed beside the one below, in any order', BARRIER, () => {
    expect(reading(plan(`SELECT * FROM ${table} WHERE own = 1`))).toMatch(/DIV|intDiv/);
  });

  assumption('nothing is moved from above a LIMIT to below it', BARRIER, () => {
    const text = plan(`SELECT * FROM ${table} WHERE own = 1 LIMIT 9223372036854775807`);
    expect(text).toMatch(/Limit/);
    expect(reading(text)).not.toMatch(/DIV|intDiv/);
    expect(reading(text)).toContain('own');
  });

  assumption('of SELECT * below a LIMIT only the columns that are needed are read', BARRIER, () => {
    const text = scratch.ask(
      `EXPLAIN PLAN header = 1 SELECT count() FROM (SELECT * FROM ${table} WHERE own = 1 LIMIT 9223372036854775807)`,
    );
    expect(reading(text)).not.toContain('size');
  });
});
