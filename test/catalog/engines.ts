/** Both engines of the catalog, so that the same tests are run on each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { type Catalog, openCatalog, openPostgresCatalog } from '../../src/catalog/index.ts';
import { postgresStep, STEPS } from '../../src/catalog/migrations.ts';
import { hasPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';

/** One place that a catalog is kept in: a file, or a schema. */
export interface Place {
  open(clock: ManualClock, epoch?: number): Promise<Catalog>;
  /** Statements past the catalog. */
  execute(...statements: readonly string[]): Promise<void>;
  /** Makes the layout that a version with so many steps has left; before it is opened. */
  makeLayout(steps: number): Promise<void>;
  setLayout(version: number): Promise<void>;
  /** Where its bytes lie. */
  readonly directory: string;
  remove(): Promise<void>;
}

export type EngineName = 'SQLite' | 'PostgreSQL';

export class Setting {
  readonly engine: EngineName;
  clock = new ManualClock(1_000);
  place!: Place;
  catalog!: Catalog;
  server: PostgresServer | undefined;
  #schemas = 0;

  constructor(engine: EngineName) {
    this.engine = engine;
  }

  newPlace(): Promise<Place> {
    this.#schemas += 1;
    return this.server ? schemaOn(this.server, `catalog_${this.#schemas}`) : newFile();
  }

  /** Another process that has what is kept, and nothing else. */
  async reopen(): Promise<void> {
    await this.catalog.close();
    this.catalog = await this.place.open(this.clock);
  }
}

/** Runs the tests on each engine; each gets an empty catalog at a clock that stands at 1 000. */
export function onBothEngines(title: string, tests: (setting: Setting) => void): void {
  for (const engine of ['SQLite', 'PostgreSQL'] as const) {
    describe.skipIf(engine === 'PostgreSQL' && !hasPostgres)(`${title}, in ${engine}`, () => {
      const setting = new Setting(engine);
      beforeAll(async () => {
        if (engine === 'PostgreSQL') setting.server = await startPostgres();
      }, 60_000);
      afterAll(() => setting.server?.end());
      beforeEach(async () => {
        setting.clock = new ManualClock(1_000);
        setting.place = await setting.newPlace();
        setting.catalog = await setting.place.open(setting.clock);
      });
      afterEach(async () => {
        await setting.catalog.close();
        await setting.place.remove();
      });
      tests(setting);
    });
  }
}

async function newFile(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-catalog-'));
  const path = join(directory, 'catalog.sqlite');
  const within = (work: (database: Database.Database) => void): void => {
    const database = new Database(path);
    work(database);
    database.close();
  };
  return {
    directory,
    open: (clock, epoch = 0) => openCatalog(path, clock, { epoch }),
    execute: async (...statements) =>
      within((database) => {
        for (const text of statements) database.exec(text);
      }),
    makeLayout: async (steps) =>
      within((database) => {
        for (const step of STEPS.slice(0, steps)) database.exec(step);
        database.exec(`PRAGMA user_version = ${steps}`);
      }),
    setLayout: async (version) => within((database) => database.exec(`PRAGMA user_version = ${version}`)),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

async function schemaOn(server: PostgresServer, schema: string): Promise<Place> {
  const execute = async (...statements: readonly string[]): Promise<void> => {
    await server.query([`SET search_path TO "${schema}"`, ...statements].join(';\n'));
  };
  return {
    directory: server.dataDirectory,
    open: (clock, epoch = 0) => openPostgresCatalog(server.url(schema), clock, { epoch }),
    execute,
    makeLayout: async (steps) => {
      await server.query(`CREATE SCHEMA "${schema}"`);
      await execute(
        'CREATE TABLE layout (one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)',
        ...STEPS.slice(0, steps).flatMap((step) => postgresStep(step)),
        `INSERT INTO layout VALUES (1, ${steps})`,
      );
    },
    setLayout: (version) => execute(`UPDATE layout SET version = ${version}`),
    remove: async () => {
      await server.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
    },
  };
}
