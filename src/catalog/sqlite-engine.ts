/** The catalog in one SQLite file. */
import { CompiledQuery, type DatabaseConnection, Kysely, SqliteDialect, SqliteDriver } from 'kysely';
import Database from 'libsql';
import { MillraceError } from '../base/errors.ts';
import type { CatalogEngine } from './engine.ts';
import { migrateSqlite } from './migrations.ts';
import type { Tables } from './tables.ts';

/** The owner before may be in the middle of a write. */
const WAIT_MS = 5_000;
const STATEMENTS_MAX = 500;

export function openSqlite(path: string): CatalogEngine {
  const database = new Database(path);
  // FULL makes each commit wait for the disk: an acknowledged change survives a power cut.
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  // What is deleted is overwritten with zeros.
  database.pragma('secure_delete = ON');
  database.pragma(`busy_timeout = ${WAIT_MS}`);
  try {
    migrateSqlite(database, path);
  } catch (error) {
    database.close();
    throw error;
  }
  const statements = new Map<string, Database.Statement>();
  const prepare = (text: string): Database.Statement => {
    let statement = statements.get(text);
    if (!statement) {
      if (statements.size >= STATEMENTS_MAX) statements.clear();
      statement = database.prepare(text);
      statements.set(text, statement);
    }
    return statement;
  };
  const close = (): void => {
    statements.clear();
    database.close();
  };
  const db = new Kysely<Tables>({ dialect: new ImmediateDialect({ database: { prepare, close } as never }) });

  return {
    kind: 'sqlite',
    db,
    translate: (error) => (isDiskFault(error) ? unavailable(error) : error),
    isConflict: () => false,
    mayBeCommitted: () => false,
    enterOutcome: async () => '',
    outcome: async () => 'aborted',
    forgetOutcome: () => undefined,
    ownerEpoch: async (transaction, setting) => {
      const row = await transaction
        .selectFrom('settings')
        .select('value')
        .where('name', '=', setting)
        .executeTakeFirst();
      return row?.value;
    },
    forgetDeleted: () =>
      db.connection().execute(async () => {
        truncateWal(database);
        database.exec('VACUUM');
        truncateWal(database);
      }),
    close: () => db.destroy(),
  };
}

/** A transaction that reads first and writes later must not find that another has written in between. */
class ImmediateDialect extends SqliteDialect {
  readonly #config: ConstructorParameters<typeof SqliteDialect>[0];

  constructor(config: ConstructorParameters<typeof SqliteDialect>[0]) {
    super(config);
    this.#config = config;
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver(this.#config);
  }
}

class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  override async destroy(): Promise<void> {
    // Behind whoever has the connection.
    await this.acquireConnection().catch(() => undefined);
    await super.destroy();
  }
}

function truncateWal(database: Database.Database): void {
  const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  if (result?.busy !== 1) return;
  throw new MillraceError(
    'conflict',
    'another process reads the catalog, so that what was removed cannot be overwritten yet; end it and repeat the removal',
  );
}

const isDiskFault = (error: unknown): boolean =>
  /^SQLITE_(BUSY|FULL|IOERR)/.test(String((error as { code?: unknown } | null)?.code));

const unavailable = (cause: unknown): MillraceError =>
  new MillraceError(
    'catalog-unavailable',
    'the catalog cannot be written now, so that nothing was changed; look at the disk of the data directory, and try again',
    { cause, retryAfterSeconds: 5 },
  );
