/**
 * Names that the engine makes and does not make durable.
 *
 * The engine fsyncs what is in a part and in a table's definition, and the directory of the part. It never syncs the
 * directory that the part, the definition or the table is renamed or made in: a file system that keeps no more than it
 * must forgets a whole part, or a table, that a power cut follows. So after each statement those directories are synced
 * here, before the caller hears that the statement is done.
 *
 * After a statement that failed, or a sync that did, the debt stands: reads pay it first, since what they find is taken
 * for proof. For the same reason everything is owed at start: a process that was killed may have left anything.
 */
import { dirname, resolve } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { Statement } from './port.ts';

export interface Relation {
  readonly database: string;
  readonly table: string;
}

export type Touched =
  /** Parts of the tables come and go. */
  | { readonly kind: 'parts'; readonly relations: readonly Relation[] }
  /** So do tables and databases themselves. */
  | {
      readonly kind: 'tables';
      readonly relations: readonly Relation[];
      readonly databases: readonly string[];
      /** The database that is itself made or dropped, with all that is in it. */
      readonly database: string | undefined;
      /** When every table is there already, nothing is made. */
      readonly ifNotExists: boolean;
    };

const NAME = '`((?:[^`\\\\]|\\\\.)+)`';
const RELATION = new RegExp(`${NAME}\\.${NAME}`, 'g');
const DATABASE = new RegExp(`^\\s*(?:CREATE|DROP) DATABASE (?:IF (?:NOT )?EXISTS )?${NAME}`);

/** What a statement may change, by its text; names are quoted as `sql.ts` does it. Undefined: nothing on disk. */
export function touchedBy(text: string): Touched | undefined {
  const verb = /^\s*([A-Z]+)/.exec(text)?.[1];
  switch (verb) {
    case 'INSERT':
    case 'OPTIMIZE':
    case 'TRUNCATE':
      // What follows the first is only read.
      return { kind: 'parts', relations: relationsIn(text, 1) };
    case 'CREATE':
    case 'DROP':
    case 'ALTER':
    case 'RENAME':
    case 'EXCHANGE':
    case 'ATTACH':
    case 'DETACH':
    case 'UNDROP': {
      const relations = relationsIn(text);
      const named = DATABASE.exec(text)?.[1];
      const database = named === undefined ? undefined : unquote(named);
      const databases = new Set(relations.map((one) => one.database));
      if (database !== undefined) databases.add(database);
      const ifNotExists = /^\s*CREATE TABLE IF NOT EXISTS /.test(text);
      return { kind: 'tables', relations, databases: [...databases], database, ifNotExists };
    }
    default:
      return undefined;
  }
}

function relationsIn(text: string, most = Number.POSITIVE_INFINITY): Relation[] {
  const found = new Map<string, Relation>();
  for (const [whole, database, table] of text.matchAll(RELATION)) {
    found.set(whole, { database: unquote(database!), table: unquote(table!) });
    if (found.size >= most) break;
  }
  return [...found.values()];
}

const unquote = (name: string): string => name.replace(/\\(.)/g, '$1');

export interface DurableNamesOptions {
  readonly files: Pick<FileSystem, 'readdir' | 'syncDirectory'>;
  /** The engine's directory, absolute. */
  readonly directory: string;
  /** Asks the engine, without paying first. */
  readonly ask: <Row>(statement: Statement) => Promise<Row[]>;
}

/** Stands for every directory: what was changed is not known. */
const EVERYTHING = '*';
const SYNCED_AT_ONCE = 16;

export class DurableNames {
  readonly #options: DurableNamesOptions;
  /** Directories to sync, each with the number of its latest debt. */
  readonly #owed = new Map<string, number>([[EVERYTHING, 0]]);
  #debts = 0;
  /** Where the parts of each table lie, by database and table; forgotten when the table changes. */
  readonly #partsOf = new Map<string, Map<string, readonly string[]>>();
  /** Directories of each database's own files; forgotten when it is made or dropped. */
  readonly #placesOf = new Map<string, readonly string[]>();
  /** Statements that changed tables: what was asked before the latest of them may be about what is gone. */
  #changes = 0;

  constructor(options: DurableNamesOptions) {
    this.#options = options;
  }

  /** Runs a statement that writes; resolves when the names that it made are durable. */
  async around(text: string, work: () => Promise<void>): Promise<void> {
    const touched = touchedBy(text);
    if (!touched) return work();
    if (touched.kind === 'tables' && touched.ifNotExists && (await this.#allThere(touched.relations))) {
      await work();
      return this.settle();
    }
    let owed: readonly string[] = [EVERYTHING];
    try {
      await work();
    } finally {
      owed = await this.#directoriesOf(touched).catch(() => owed);
      this.#debts += 1;
      for (const directory of owed) this.#owed.set(directory, this.#debts);
    }
    await this.#pay(owed);
  }

  /** Makes durable what a read may find. */
  async settle(): Promise<void> {
    if (this.#owed.size > 0) await this.#pay([...this.#owed.keys()]);
  }

  /** A debt that was made again meanwhile stays. */
  async #pay(owed: readonly string[]): Promise<void> {
    const debts = new Map(owed.map((directory) => [directory, this.#owed.get(directory)]));
    try {
      const paths = owed.includes(EVERYTHING) ? [...owed, ...(await this.#everything())] : [...owed];
      const left = paths.filter((path) => path !== EVERYTHING);
      while (left.length > 0) {
        const some = left.splice(0, SYNCED_AT_ONCE);
        await Promise.all(some.map((path) => this.#options.files.syncDirectory(path).catch(unlessGone)));
      }
    } catch (cause) {
      const { directory } = this.#options;
      throw new MillraceError(
        'store-unavailable',
        `the disk does not take the names of files under ${directory}; is it full or failing?`,
        { cause },
      );
    }
    for (const [directory, debt] of debts)
      if (this.#owed.get(directory) === debt) this.#owed.delete(directory);
  }

  /** Every directory down to those of the tables. */
  async #everything(): Promise<string[]> {
    const { directory, files } = this.#options;
    const below = async (parents: readonly string[]): Promise<string[]> => {
      const found: string[] = [];
      for (const parent of parents)
        for (const name of await files.readdir(parent)) found.push(`${parent}/${name}`);
      return found;
    };
    const prefixes = await below([`${directory}/store`]);
    return [
      ...this.#roots(),
      ...(await below([`${directory}/data`])),
      ...prefixes,
      ...(await below(prefixes)),
    ];
  }

  #roots(): string[] {
    const { directory } = this.#options;
    const own = ['store', 'data', 'metadata', 'metadata_dropped'].map((name) => `${directory}/${name}`);
    return [dirname(directory), directory, ...own];
  }

  async #allThere(relations: readonly Relation[]): Promise<boolean> {
    for (const { database, table } of relations) {
      const rows = await this.#options.ask<{ name: string }>({
        text: 'SELECT name FROM system.tables WHERE database = {database:String} AND name = {table:String}',
        params: { database, table },
      });
      if (rows.length === 0) return false;
    }
    return relations.length > 0;
  }

  async #directoriesOf(touched: Touched): Promise<string[]> {
    if (touched.kind === 'tables') this.#forget(touched);
    const parts = (await Promise.all(touched.relations.map((one) => this.#directoriesOfParts(one)))).flat();
    if (touched.kind === 'parts') return parts;
    const databases = await Promise.all(touched.databases.map((one) => this.#directoriesOfDatabase(one)));
    const tables = parts.flatMap((path) => [path, dirname(path)]);
    return [...new Set([...tables, ...databases.flat(), ...this.#roots()])];
  }

  #forget({ relations, database }: Touched & { kind: 'tables' }): void {
    this.#changes += 1;
    for (const one of relations) this.#partsOf.get(one.database)?.delete(one.table);
    if (database !== undefined) {
      this.#partsOf.delete(database);
      this.#placesOf.delete(database);
    } else if (relations.length === 0) {
      // Names that were not understood may be any.
      this.#partsOf.clear();
      this.#placesOf.clear();
    }
  }

  async #directoriesOfDatabase(database: string): Promise<readonly string[]> {
    const known = this.#placesOf.get(database);
    if (known) return known;
    const asked = this.#changes;
    const rows = await this.#options.ask<{ metadata_path: string }>({
      text: 'SELECT metadata_path FROM system.databases WHERE name = {database:String}',
      params: { database },
    });
    const { directory } = this.#options;
    const paths = rows.map((row) => resolve(directory, row.metadata_path));
    const places = [...paths.flatMap((path) => [path, dirname(path)]), `${directory}/data/${database}`];
    if (paths.length > 0 && asked === this.#changes) this.#placesOf.set(database, places);
    return places;
  }

  async #directoriesOfParts({ database, table }: Relation): Promise<readonly string[]> {
    const known = this.#partsOf.get(database)?.get(table);
    if (known) return known;
    const asked = this.#changes;
    const rows = await this.#options.ask<{ data_paths: string[] }>({
      text: 'SELECT data_paths FROM system.tables WHERE database = {database:String} AND name = {table:String}',
      params: { database, table },
    });
    const paths = rows.flatMap((row) => row.data_paths).map((path) => resolve(path));
    if (rows.length > 0 && asked === this.#changes) {
      const tables = this.#partsOf.get(database) ?? new Map<string, readonly string[]>();
      this.#partsOf.set(database, tables.set(table, paths));
    }
    return paths;
  }
}

/** A directory that is not there has lost its names on purpose. */
function unlessGone(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
