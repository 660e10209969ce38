/**
 * Shadows: a table of equal structure beside a live one, filled at leisure, then put into its place.
 *
 *   make ─▶ fill ─▶ prepareSwap ─journal durable (the caller's part)─▶ carryOutSwap ─▶ journal closed ─▶ dropOldTables
 *     └──────┴─ given up: dropShadows
 *
 * A swap of several tables is several statements, each of which the engine does whole or not at all. The journal says
 * which table shall stand under which name, by uuid: carrying it out asks who stands there now and exchanges only
 * where it is not done. So it may be carried out again after a crash anywhere, and ends the same. Until it has ended
 * nobody may write to the live tables: what went into an old one would leave with it.
 *
 * An exchange renames two files of the database's directory. The engine does not sync that directory; `Durable`
 * does, before the swap counts as done, and the directories of the shadows' parts before it begins (a copied
 * partition is a directory of hard links).
 */
import type { TenantId } from '../base/brand.ts';
import { invariant, MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { Engine } from './port.ts';
import { quoteIdentifier } from './sql.ts';

type Hands = Pick<Engine, 'execute' | 'rows'>;

/** What makes names durable: the file system, and the absolute path of the engine's directory. */
export interface Durable {
  readonly files: Pick<FileSystem, 'syncDirectory'>;
  readonly directory: string;
}

/** The tables to exchange, as quoted names (layout.ts), with who stood where before the swap. */
export interface SwapPair {
  readonly live: string;
  readonly shadow: string;
  readonly liveUuid: string;
  readonly shadowUuid: string;
}

/** JSON: the caller keeps it durable from before the first exchange until the swap is carried out. */
export interface SwapJournal {
  readonly pairs: readonly SwapPair[];
}

/** Every shadow's name begins like this; no other table's does. Staging tables of a run are called after it, too. */
const PREFIX = 'shadow_';
const OF_A_RUN = /^(?:stage_)?shadow_([0-9a-f]{32})_/;
const hexOf = (run: string): string => run.replaceAll('-', '');

/**
 * The name of a run's shadow of a table.
 *
 * @example
 * shadowOf('`t_a`.`events_s`', '018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e')
 * // '`t_a`.`shadow_018f2c5e7d3a7b3c9d1e2f3a4b5c6d7e_events_s`'
 */
export function shadowOf(table: string, run: string): string {
  const { database, name } = partsOf(table);
  return `${quoteIdentifier(database)}.${quoteIdentifier(`${PREFIX}${hexOf(run)}_${name}`)}`;
}

/** Our own names hold nothing that needs escaping (names.ts). */
function partsOf(table: string): { readonly database: string; readonly name: string } {
  const match = /^`([^`\\]+)`\.`([^`\\]+)`$/.exec(table);
  invariant(match, `${table} is a quoted table name`);
  return { database: match[1]!, name: match[2]! };
}

/** An empty shadow, made anew whatever was there; the live table's columns, keys and settings as they are now. */
export async function makeShadow(engine: Hands, live: string, run: string): Promise<string> {
  const shadow = shadowOf(live, run);
  await engine.execute({ text: `DROP TABLE IF EXISTS ${shadow} SYNC` });
  await engine.execute({ text: `CREATE TABLE ${shadow} AS ${live}` });
  return shadow;
}

/**
 * The live table's partition as it is now becomes the shadow's, whatever the shadow had there: hard links, no
 * copying. May be repeated. What ingest adds meanwhile may come along: look at what has come.
 */
export function copyPartition(engine: Hands, live: string, shadow: string, day: number): Promise<void> {
  return engine.execute({ text: `ALTER TABLE ${shadow} REPLACE PARTITION ${Number(day)} FROM ${live}` });
}

export function dropPartition(engine: Hands, shadow: string, day: number): Promise<void> {
  return engine.execute({ text: `ALTER TABLE ${shadow} DROP PARTITION ${Number(day)}` });
}

/** The uuids of tables by their quoted names; a table that is not there has none. */
export async function tableUuids(engine: Hands, tables: readonly string[]): Promise<Map<string, string>> {
  const named = tables.map((table) => ({ table, ...partsOf(table) }));
  const rows = await engine.rows<{ database: string; name: string; uuid: string }>({
    text: 'SELECT database, name, toString(uuid) AS uuid FROM system.tables WHERE (database, name) IN (SELECT d, n FROM (SELECT arrayJoin(arrayZip({databases:Array(String)}, {names:Array(String)})) AS p, p.1 AS d, p.2 AS n))',
    params: { databases: named.map((one) => one.database), names: named.map((one) => one.name) },
  });
  const found = new Map<string, string>();
  for (const { table, database, name } of named) {
    const row = rows.find((one) => one.database === database && one.name === name);
    if (row) found.set(table, row.uuid);
  }
  return found;
}

/** The journal of a swap that has not begun. Fails with `conflict` when a table is not there. */
export async function prepareSwap(
  engine: Hands,
  tables: readonly Pick<SwapPair, 'live' | 'shadow'>[],
): Promise<SwapJournal> {
  const uuids = await tableUuids(
    engine,
    tables.flatMap(({ live, shadow }) => [live, shadow]),
  );
  const uuidOf = (table: string): string => {
    const uuid = uuids.get(table);
    if (uuid !== undefined) return uuid;
    throw new MillraceError('conflict', `the table ${table} is not there any more; start again`);
  };
  return {
    pairs: tables.map(({ live, shadow }) => ({
      ...{ live, shadow },
      ...{ liveUuid: uuidOf(live), shadowUuid: uuidOf(shadow) },
    })),
  };
}

/** The pairs that are still to be exchanged, given who stands under each name now. Throws when the names were used otherwise. */
export function swapSteps(journal: SwapJournal, uuids: ReadonlyMap<string, string>): readonly SwapPair[] {
  return journal.pairs.filter((pair) => {
    const standing = uuids.get(pair.live);
    if (standing === pair.shadowUuid) return false;
    invariant(
      standing === pair.liveUuid && uuids.get(pair.shadow) === pair.shadowUuid,
      `nobody but the swap touches ${pair.live} and ${pair.shadow}`,
    );
    return true;
  });
}

/** Brings the swap to its end from wherever it stands. After a rejection: again. */
export async function carryOutSwap(engine: Hands, journal: SwapJournal, durable: Durable): Promise<void> {
  const names = journal.pairs.flatMap(({ live, shadow }) => [live, shadow]);
  const steps = swapSteps(journal, await tableUuids(engine, names));
  await syncParts(
    engine,
    steps.map((pair) => pair.shadow),
    durable,
  );
  for (const { live, shadow } of steps) {
    await engine.execute({ text: `EXCHANGE TABLES ${live} AND ${shadow}` });
  }
  await syncNames(engine, names, durable);
  const left = swapSteps(journal, await tableUuids(engine, names));
  invariant(left.length === 0, 'after a swap the shadows stand in the live tables’ places');
}

/** Drops what stood before a swap that is carried out. May be repeated. */
export async function dropOldTables(engine: Hands, journal: SwapJournal): Promise<void> {
  const uuids = await tableUuids(
    engine,
    journal.pairs.map((pair) => pair.shadow),
  );
  for (const { shadow, liveUuid } of journal.pairs) {
    if (uuids.get(shadow) === liveUuid) await engine.execute({ text: `DROP TABLE IF EXISTS ${shadow} SYNC` });
  }
}

/** What a run's staging tables are called, after the `stage_` that they all begin with. */
export const stagesOf = (run: string): string => `${PREFIX}${hexOf(run)}`;

/** Drops every shadow and staging table of a run that swaps nothing any more. May be repeated. */
export async function dropShadows(engine: Hands, tenant: TenantId | undefined, run: string): Promise<void> {
  await dropWhere(engine, tenant, (of) => of === hexOf(run));
}

/** At start: drops those that belong to none of the runs that have not ended. */
export async function dropStrayShadows(
  engine: Hands,
  tenant: TenantId | undefined,
  runs: readonly string[],
): Promise<void> {
  const kept = new Set(runs.map(hexOf));
  await dropWhere(engine, tenant, (of) => !kept.has(of));
}

async function dropWhere(
  engine: Hands,
  tenant: TenantId | undefined,
  isToGo: (run: string) => boolean,
): Promise<void> {
  const rows = await engine.rows<{ database: string; name: string }>({
    text: 'SELECT database, name FROM system.tables WHERE position(name, {prefix:String}) > 0 AND (database = {database:String} OR empty({database:String}) AND startsWith(database, {any:String})) ORDER BY name',
    params: { prefix: PREFIX, database: tenant === undefined ? '' : `t_${tenant}`, any: 't_' },
  });
  for (const { database, name } of rows) {
    const run = OF_A_RUN.exec(name)?.[1];
    if (run === undefined || !isToGo(run)) continue;
    await engine.execute({
      text: `DROP TABLE IF EXISTS ${quoteIdentifier(database)}.${quoteIdentifier(name)} SYNC`,
    });
  }
}

/** The directories of the tables' parts, and those that name them. */
async function syncParts(engine: Hands, tables: readonly string[], durable: Durable): Promise<void> {
  for (const table of tables) {
    const { database, name } = partsOf(table);
    const params = { database, name };
    const parts = await engine.rows<{ path: string }>({
      text: 'SELECT path FROM system.parts WHERE active AND database = {database:String} AND table = {name:String}',
      params,
    });
    const roots = await engine.rows<{ path: string }>({
      text: 'SELECT arrayJoin(data_paths) AS path FROM system.tables WHERE database = {database:String} AND name = {name:String}',
      params,
    });
    // A part may be merged away meanwhile; what it became was written, and synced, by the engine.
    for (const { path } of parts) await durable.files.syncDirectory(path).catch(ignoreMissing);
    for (const { path } of roots) await durable.files.syncDirectory(path);
  }
}

/** The directories in which the databases keep the names of their tables. */
async function syncNames(engine: Hands, tables: readonly string[], durable: Durable): Promise<void> {
  const databases = [...new Set(tables.map((table) => partsOf(table).database))];
  const rows = await engine.rows<{ path: string }>({
    text: 'SELECT metadata_path AS path FROM system.databases WHERE name IN ({names:Array(String)})',
    params: { names: databases },
  });
  for (const { path } of rows) {
    await durable.files.syncDirectory(path.startsWith('/') ? path : `${durable.directory}/${path}`);
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
