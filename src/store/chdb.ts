/**
 * The embedded engine: ClickHouse in this process (chDB).
 *
 * A session serialises its statements, so reads and writes have sessions of their own and never wait for each
 * other. Settings that decide correctness are set on every writing session: one insert is one block is one
 * part, written before the call returns (defaults differ between versions).
 */
import { resolve } from 'node:path';
import { drainPending, Session } from 'chdb';
import type { TenantId } from '../base/brand.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { FairQueue, type Leave } from '../base/fair-queue.ts';
import { type FileSystem, nodeFiles } from '../base/files.ts';
import { DurableNames } from './durable-names.ts';
import { createGuest, guestSettings, KILLS_MAX } from './guest.ts';
import type { Engine, Guest, GuestLimits, Guests, QueryLimits, Statement, WriteOptions } from './port.ts';
import { NICE_MOST, READING_CLASSES, type ReadingClass, ReadingPlaces } from './reading-places.ts';
import { FULL_ROLE, openWithRoles, roleOf } from './roles.ts';
import { forgetLongParameters, parameterSettings, setAllSoon } from './session-parameters.ts';
import { SessionPool } from './session-pool.ts';
import { SessionSettings, type Settings } from './session-settings.ts';

export interface ChdbOptions {
  /** Directory of the engine's files; one process at a time. */
  readonly directory: string;
  /** Statements that may read at a time, in each class; half as many listings and scans. */
  readonly readers?: number;
  /** Where a class differs from that. */
  readonly places?: Partial<Readonly<Record<ReadingClass, number>>>;
  readonly writers?: number;
  /** What is known of the tenants who ask. */
  readonly tenants?: AskingTenants | undefined;
  readonly clock?: Clock;
  /** Bytes that the engine may use in all. */
  readonly memoryBytesMax?: number;
  readonly querySecondsMax?: number;
  /** Syncs the directories that the engine leaves to the file system. */
  readonly files?: Pick<FileSystem, 'readdir' | 'syncDirectory'>;
  /** Names outlive a power cut (default). Without it statements that make tables cost a third. */
  readonly syncsNames?: boolean;
}

export interface AskingTenants {
  weight(tenant: TenantId): number;
  /** What their statements may take, where it is less than what the installation allows. */
  limits(tenant: TenantId): Pick<QueryLimits, 'timeoutSeconds' | 'memoryBytesMax' | 'readRowsMax'>;
  /** There is more than one: then none may hold the last place. */
  areSeveral(): boolean;
}

/** Compiled, `min` and `max` take moments before 1970 for later than all others. */
const NOT_COMPILED = 'compile_aggregate_expressions=0';

/** One block per insert whatever its size; no asynchronous inserts; no insert tokens. */
const WRITER_SETTINGS = [
  NOT_COMPILED,
  'async_insert=0',
  'max_insert_block_size=100000000',
  'min_insert_block_size_rows=100000000',
  'min_insert_block_size_bytes=100000000000',
  'max_insert_threads=1',
  'optimize_on_insert=0',
  'insert_deduplicate=0',
  'max_query_size=16777216',
  "local_filesystem_read_method='pread'",
  'max_partitions_per_insert_block=1',
  'throw_on_max_partitions_per_insert_block=1',
  // A table that has lost everything is repaired like any other.
  'allow_replace_partition_from_empty_source=1',
].join(', ');

const ENGINE_ARGS = [
  // What was dropped is removed at once, not kept for eight minutes: nobody takes it back, and it may be somebody's who is gone.
  '--database_atomic_delay_before_drop_table_sec=0',
  // Nobody waits for a merge, and a repair waits for its mutations. Where parts become too many the engine slows inserts down.
  `--os_threads_nice_value_merge_mutate=${NICE_MOST}`,
];

/** What is small is read and written by the threads that compute it: on a busy machine each of a hundred hand-overs waits for a processor. */
const IN_PLACE: Settings = {
  local_filesystem_read_method: "'pread'",
  output_format_parallel_formatting: 0,
};
/** A scan gains from reading ahead, and from writing while it reads. */
const HANDED_OVER: Settings = {
  local_filesystem_read_method: "'pread_threadpool'",
  output_format_parallel_formatting: 1,
};

/** Of a writing statement. */
const settingsOfWriter = ({ yields = false, narrow = false }: WriteOptions): Settings => ({
  max_threads: yields || narrow ? 1 : 2,
  os_threads_nice_value_query: yields ? NICE_MOST : 0,
});

const READER_SETTINGS = [
  NOT_COMPILED,
  'output_format_json_quote_64bit_integers=0',
  'output_format_json_quote_denormals=0',
  "date_time_output_format='iso'",
  'max_query_size=16777216',
  "timeout_overflow_mode='throw'",
  'transform_null_in=0',
  'join_use_nulls=1',
].join(', ');

/** Questions carry it in `log_comment`, so that they can be ended; behind it a number, 0 for those that are only ended together. */
const LABEL = 'millrace-query-';
const DEFAULT_QUERY_SECONDS = 30;
const READERS = 4;
const WRITERS = 4;
/** Whose statements have no tenant. */
const OURS = '';
const DEFAULT_MEMORY_BYTES = 8 * 2 ** 30;

export function openChdb(options: ChdbOptions): Engine & Guests {
  return new ChdbEngine(options);
}

class ChdbEngine implements Engine, Guests {
  readonly #writers: SessionPool;
  readonly #writing: FairQueue;
  readonly #settings = new SessionSettings();
  readonly #readers: SessionPool;
  readonly #places: ReadingPlaces;
  readonly #tenants: AskingTenants | undefined;
  /** Only for KILL QUERY: it must not queue behind what it ends. */
  readonly #control: Session;
  readonly #names: Pick<DurableNames, 'around' | 'settle'>;
  readonly #querySecondsMax: number;
  readonly #queryMemoryMax: number;
  readonly #openSession: () => Session;
  /** The engine's roles, by name. */
  readonly #roles: ReadonlySet<string>;
  readonly #guests = new Set<Guest>();
  #nextQuery = 0;

  constructor(options: ChdbOptions) {
    const memory = options.memoryBytesMax ?? DEFAULT_MEMORY_BYTES;
    this.#querySecondsMax = options.querySecondsMax ?? DEFAULT_QUERY_SECONDS;
    this.#queryMemoryMax = Math.floor(memory / 2);
    const places = placesOf(options);
    this.#tenants = options.tenants;
    this.#places = new ReadingPlaces({
      places,
      clock: options.clock ?? systemClock,
      waitMsMax: this.#querySecondsMax * 1_000,
      weightOf: options.tenants && ((tenant) => options.tenants!.weight(tenant)),
      areSeveral: options.tenants && (() => options.tenants!.areSeveral()),
      othersWrite: (tenant) => this.#writing.isShared(tenant),
    });
    const writers = options.writers ?? WRITERS;
    // Half of them at the most while others write: a batch of a stream with many rollups fills them all.
    this.#writing = new FairQueue({
      places: writers,
      clock: options.clock ?? systemClock,
      waitingMax: Number.MAX_SAFE_INTEGER,
      weightOf:
        options.tenants && ((tenant) => (tenant === OURS ? 1 : options.tenants!.weight(tenant as TenantId))),
      heldMax: (_tenant, isShared) => (isShared ? Math.ceil(writers / 2) : writers),
    });
    this.#names =
      options.syncsNames === false
        ? { around: (_, work) => work(), settle: async () => undefined }
        : new DurableNames({
            files: options.files ?? nodeFiles,
            directory: resolve(options.directory),
            ask: (statement) => this.#ask(statement),
          });
    const directory = resolve(options.directory);
    this.#openSession = () => new Session(directory, { connectionArgs: ENGINE_ARGS });
    const open = (settings: string, session = this.#openSession()): Session => {
      session.query(`SET ROLE ${FULL_ROLE}`);
      session.query(`SET ${settings}`);
      return session;
    };
    try {
      const first = openWithRoles(
        directory,
        (access) => new Session(directory, { connectionArgs: [...access, ...ENGINE_ARGS] }),
      );
      this.#control = open('max_threads=1', first);
      this.#roles = new Set(this.#control.query('SELECT name FROM system.roles', 'TSVRaw').split('\n'));
      this.#writers = new SessionPool(writers, () => open(WRITER_SETTINGS));
      const readers = READING_CLASSES.reduce((sum, reading) => sum + places[reading], 0);
      this.#readers = new SessionPool(readers, () => open(READER_SETTINGS));
    } catch (cause) {
      throw new MillraceError(
        'store-unavailable',
        `the store at ${options.directory} cannot be opened; is another process using it? (${wordsOf(cause)})`,
        { cause },
      );
    }
  }

  async execute(statement: Statement, options: WriteOptions = {}): Promise<void> {
    await this.#names.around(statement.text, async () => {
      const leave = await this.#writing.enter(options.tenant ?? OURS);
      const settings = settingsOfWriter(options);
      try {
        await this.#writers.use(
          async (session) => {
            await this.#prepare(session, settings, statement);
            await run(session, statement, 'Null');
          },
          (session) => this.#settings.agree(session, settings),
        );
      } finally {
        leave();
      }
    });
  }

  async query(statement: Statement, format = 'JSONCompact', limits: QueryLimits = {}): Promise<Uint8Array> {
    await this.#names.settle();
    return this.#read(statement, format, limits);
  }

  async #read(statement: Statement, format: string, limits: QueryLimits): Promise<Uint8Array> {
    const leave = await this.#enter(limits);
    try {
      const label = this.#labelFor(limits);
      const settings = this.#settingsOf(limits, label);
      return await this.#readers.use(
        async (session) => {
          await this.#prepare(session, settings, statement);
          const stopWatching = this.#watch(limits, label);
          try {
            return await run(session, statement, format);
          } finally {
            stopWatching();
          }
        },
        (session) => this.#settings.agree(session, settings),
      );
    } finally {
      leave();
    }
  }

  async *stream(statement: Statement, format: string, limits: QueryLimits = {}): AsyncIterable<Uint8Array> {
    await this.#names.settle();
    const leave = await this.#enter(limits);
    try {
      const session = await this.#readers.take();
      try {
        const label = this.#labelFor(limits);
        await this.#prepare(session, this.#settingsOf(limits, label), statement);
        const stopWatching = this.#watch(limits, label);
        try {
          const chunks = session.queryStream(statement.text, { format });
          for await (const chunk of chunks) yield chunk.raw();
        } catch (cause) {
          throw explain(cause);
        } finally {
          stopWatching();
          await setAllSoon(session, forgetLongParameters(statement));
        }
      } finally {
        this.#readers.give(session);
      }
    } finally {
      leave();
    }
  }

  async #enter({ reading = 'work', tenant, signal }: QueryLimits): Promise<Leave> {
    try {
      return await this.#places.enter(reading, tenant, signal);
    } catch (cause) {
      throw signal?.aborted ? cancelled() : cause;
    }
  }

  place(tenant: TenantId, signal?: AbortSignal): Promise<Leave> {
    return this.#enter({ reading: 'scan', tenant, ...(signal ? { signal } : {}) });
  }

  async rows<Row>(statement: Statement, limits: QueryLimits = {}): Promise<Row[]> {
    await this.#names.settle();
    return this.#ask(statement, limits);
  }

  async #ask<Row>(statement: Statement, limits: QueryLimits = {}): Promise<Row[]> {
    const quoted = {
      ...statement,
      text: `${statement.text} SETTINGS output_format_json_quote_64bit_integers=1`,
    };
    const bytes = await this.#read(quoted, 'JSONEachRow', limits);
    const text = Buffer.from(bytes).toString('utf8').trim();
    return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Row);
  }

  guest(tenant: TenantId, limits: GuestLimits): Guest {
    this.#nextQuery += 1;
    const label = `${LABEL}${this.#nextQuery}`;
    const settings = `${READER_SETTINGS}, ${guestSettings(this.#narrowed(tenant, limits), label)}`;
    const session = this.#openSession();
    try {
      session.query(`SET ROLE ${roleOf(tenant, this.#roles)}`);
      session.query(`SET ${settings}`);
    } catch (cause) {
      session.close();
      throw explain(cause);
    }
    const guest = createGuest({
      session,
      kill: () => this.#kill(label),
      explain,
      onClosed: () => this.#guests.delete(guest),
    });
    this.#guests.add(guest);
    return guest;
  }

  /** What is allowed to the guest, to its tenant, and to any question: the least of it. */
  #narrowed(tenant: TenantId, limits: GuestLimits): GuestLimits {
    const own = this.#tenants?.limits(tenant) ?? {};
    const readRowsMax = Math.min(limits.readRowsMax ?? Infinity, own.readRowsMax ?? Infinity);
    return {
      ...limits,
      timeoutSeconds: Math.min(limits.timeoutSeconds, own.timeoutSeconds ?? Infinity),
      memoryBytesMax: Math.min(limits.memoryBytesMax, own.memoryBytesMax ?? Infinity, this.#queryMemoryMax),
      readRowsMax: readRowsMax === Infinity ? undefined : readRowsMax,
    };
  }

  /** Ends the questions that still run: nobody waits for their answers any more. Writes run to their end. */
  async close(): Promise<void> {
    this.#places.close();
    this.#writing.refuseAll(new MillraceError('stopping', 'The server is stopping.'));
    let ended = false;
    const sessions = Promise.all([...this.#guests].map((guest) => guest.close()))
      .then(async () => [...(await this.#writers.drain()), ...(await this.#readers.drain())])
      .finally(() => {
        ended = true;
      });
    sessions.catch(() => undefined);
    // A kill that comes before the engine knows the statement finds nothing.
    for (let kills = 0; !ended && kills < KILLS_MAX; kills += 1) {
      await this.#control
        .queryAsync(`KILL QUERY WHERE startsWith(Settings['log_comment'], '${LABEL}') ASYNC`)
        .catch(() => undefined);
    }
    for (const session of [this.#control, ...(await sessions)]) session.close();
    await drainPending();
  }

  /** Of its own when the caller may go away: a kill that comes late must not end the session's next statement. */
  #labelFor({ signal }: QueryLimits): string {
    if (!signal) return `${LABEL}0`;
    this.#nextQuery += 1;
    return `${LABEL}${this.#nextQuery}`;
  }

  #settingsOf(limits: QueryLimits, label: string): Settings {
    const own = limits.tenant === undefined ? {} : (this.#tenants?.limits(limits.tenant) ?? {});
    const reading = limits.reading ?? 'work';
    return {
      max_execution_time: least(limits.timeoutSeconds ?? this.#querySecondsMax, own.timeoutSeconds),
      max_memory_usage: least(this.#queryMemoryMax, limits.memoryBytesMax, own.memoryBytesMax),
      max_rows_to_read: least(limits.readRowsMax ?? own.readRowsMax ?? 0, own.readRowsMax),
      max_threads: limits.yields || limits.narrow ? 1 : this.#places.threads(reading),
      // Without the right to it (CAP_SYS_NICE) the engine leaves it.
      os_threads_nice_value_query: limits.yields ? NICE_MOST : this.#places.nice(reading, limits.tenant),
      log_comment: `'${label}'`,
      ...(reading === 'scan' ? HANDED_OVER : IN_PLACE),
    };
  }

  /** Ends the statement with that label, which is about to run, when the caller goes away; returns the way to stop watching. */
  #watch({ signal }: QueryLimits, label: string): () => void {
    if (signal?.aborted) throw cancelled();
    const kill = () => void this.#kill(label);
    signal?.addEventListener('abort', kill, { once: true });
    return () => signal?.removeEventListener('abort', kill);
  }

  async #prepare(session: Session, settings: Settings, statement: Statement): Promise<void> {
    try {
      await this.#settings.set(session, settings, parameterSettings(statement));
    } catch (cause) {
      throw explain(cause);
    }
  }

  async #kill(label: string): Promise<void> {
    try {
      await this.#control.queryAsync(`KILL QUERY WHERE Settings['log_comment']='${label}' ASYNC`);
    } catch {
      // It has ended, or all has: nothing is left to kill.
    }
  }
}

/** The statement's parameters are set on the session. */
async function run(session: Session, statement: Statement, format: string): Promise<Uint8Array> {
  try {
    return (await session.queryAsync(statement.text, { format })).bytes();
  } catch (cause) {
    throw explain(cause);
  } finally {
    await setAllSoon(session, forgetLongParameters(statement));
  }
}

function placesOf({ readers = READERS, places }: ChdbOptions): Readonly<Record<ReadingClass, number>> {
  const fewer = Math.max(1, Math.floor(readers / 2));
  return { ingest: readers, work: readers, rollup: readers, listing: fewer, scan: fewer, ...places };
}

const least = (first: number, ...others: readonly (number | undefined)[]): number =>
  Math.min(first, ...others.filter((one) => one !== undefined));

const wordsOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** As the engine says it of a statement that was killed. */
const cancelled = () => explain(new Error('Code: 394. DB::Exception: Query was cancelled'));

const TIMEOUT_CODES = new Set([159, 394]);
const ASKED_TOO_MUCH_CODES = new Set([241, 396, 158, 307]);

/** The engine's failure as one of ours; its own words stay in `cause`. */
function explain(cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const words = wordsOf(cause);
  const code = Number(/Code: (\d+)/.exec(words)?.[1] ?? 0);
  if (TIMEOUT_CODES.has(code)) {
    return new MillraceError(
      'query-timeout',
      'the question was stopped; ask for a shorter range or fewer dimensions',
      {
        cause,
      },
    );
  }
  if (ASKED_TOO_MUCH_CODES.has(code)) {
    return new MillraceError(
      'bad-question',
      'the question needs more memory or rows than it may use; ask for a shorter range or fewer dimensions',
      { cause },
    );
  }
  return new MillraceError('store-unavailable', `the store refused a statement: ${words.slice(0, 300)}`, {
    cause,
  });
}
