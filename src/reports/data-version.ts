/** What a report may read, how far it is applied, and what of it has changed since. */
import type { Offset, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type Catalog, eventsCompleteSince } from '../catalog/port.ts';
import {
  type ReportDefinition,
  readsOf,
  type StreamDefinition,
  type TableDefinition,
} from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { Pins } from '../stats/index.ts';
import type { Engine } from '../store/port.ts';
import { historyName, lastChange } from '../tables/index.ts';
import type { DataVersion, ReportParameters } from './port.ts';

export interface DataVersionParts {
  readonly catalog: Pick<Catalog, 'stream' | 'rollup' | 'object' | 'setting'>;
  readonly engine: Pick<Engine, 'rows'>;
  readonly ingest: Pick<Ingest, 'state' | 'applied'>;
  readonly log: Pick<Log, 'state'>;
  readonly clock: Clock;
}

/** Streams and dimension tables that a report reads, by name. */
export interface Reads {
  readonly streams: readonly StreamDefinition[];
  readonly tables: readonly TableDefinition[];
}

/** What was accepted before the run began is waited for that long; then what is there counts. */
const WAIT_MS_MAX = 60_000;

/** What stands behind the names of a report: a stream comes first, then a rollup, which is made of its events, then a table. */
export function readsNow(
  catalog: DataVersionParts['catalog'],
  tenant: TenantId,
  definition: Pick<ReportDefinition, 'questions'>,
  parameters: ReportParameters,
): Reads {
  const named = readsOf(definition, parameters);
  const streams = new Map<string, StreamDefinition>();
  const tables = new Map<string, TableDefinition>();
  const addTable = (name: string): void => {
    const table = catalog.object(tenant, 'table', name)?.definition;
    if (table) tables.set(name, table);
  };
  for (const name of [...named.streams, ...named.relations]) {
    const from = catalog.rollup(tenant, name)?.definition.from;
    const stream =
      catalog.stream(tenant, name) ?? (from === undefined ? undefined : catalog.stream(tenant, from));
    if (stream) streams.set(stream.definition.name, stream.definition);
    else addTable(name);
    if (!stream && !tables.has(name) && name.endsWith(historyName('')))
      addTable(name.slice(0, -historyName('').length));
  }
  for (const name of named.tables) addTable(name);
  const sorted = <T extends { readonly name: string }>(found: ReadonlyMap<string, T>): readonly T[] =>
    [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { streams: sorted(streams), tables: sorted(tables) };
}

/** No name of a stream. */
const tableKey = (name: string): string => `table:${name}`;
const tableOf = (key: string): string | undefined => /^table:(.*)$/.exec(key)?.[1];

export function pinsOf(version: DataVersion): Pins {
  const streams = new Map<string, readonly number[]>();
  const tables = new Map<string, number>();
  for (const [key, numbers] of Object.entries(version)) {
    const table = tableOf(key);
    if (table === undefined) streams.set(key, numbers);
    else tables.set(table, numbers[0] ?? 0);
  }
  return { streams, tables };
}

/** Everything that was accepted before it is called is in it, if that is applied within a minute. */
export async function newestDataVersion(
  parts: DataVersionParts,
  tenant: TenantId,
  reads: Reads,
  signal: AbortSignal,
): Promise<DataVersion> {
  const { ingest, log, clock } = parts;
  const enough = new AbortController();
  const keys = reads.streams.flatMap((stream) => partitionsOf(tenant, stream));
  const waiting = keys.map(async (key) => {
    const { applied } = ingest.state(key);
    const { end } = log.state(key);
    if (applied < end) await ingest.applied(key, applied, end as Offset).catch(() => undefined);
  });
  await Promise.race([
    Promise.all(waiting),
    clock.sleep(WAIT_MS_MAX, AbortSignal.any([signal, enough.signal])),
  ]);
  enough.abort();
  signal.throwIfAborted();
  return appliedNow(parts, tenant, reads);
}

export async function appliedNow(
  { ingest, engine }: Pick<DataVersionParts, 'ingest' | 'engine'>,
  tenant: TenantId,
  { streams, tables }: Reads,
): Promise<DataVersion> {
  const version: Record<string, readonly number[]> = {};
  for (const stream of streams)
    version[stream.name] = partitionsOf(tenant, stream).map((key) => Number(ingest.state(key).applied));
  for (const { name } of tables) version[tableKey(name)] = [await lastChange(engine, tenant, name)];
  return version;
}

/** Fails with `bad-question` when it is not of what is read, not all applied yet, or not known any more. */
export async function checkDataVersion(
  parts: Pick<DataVersionParts, 'ingest' | 'engine'>,
  tenant: TenantId,
  reads: Reads,
  version: DataVersion,
): Promise<DataVersion> {
  const now = await appliedNow(parts, tenant, reads);
  const names = Object.keys(now);
  const fits =
    Object.keys(version).length === names.length &&
    names.every((name) => {
      const [asked, applied] = [version[name], now[name]!];
      return (
        asked !== undefined && asked.length <= applied.length && asked.every((at, p) => at <= applied[p]!)
      );
    });
  if (!fits)
    throw new MillraceError(
      'bad-question',
      `data_version names ${names.join(', ')}, each with one offset for each log partition that is applied already (of a table: the number of a change); take that of an earlier run`,
      { issues: [{ path: 'data_version', message: 'is not a version of the data that this report reads' }] },
    );
  const replaced = await replacedTable(parts, tenant, reads, version);
  if (replaced !== undefined)
    throw new MillraceError(
      'bad-question',
      `the table "${replaced}" keeps no history, and has changed since: its rows of this data version are not known any more`,
      { issues: [{ path: 'data_version', message: `of the table "${replaced}" is not known any more` }] },
    );
  return Object.fromEntries(names.map((name) => [name, version[name]!]));
}

/** A table without history that has changed since the version: what it held is not known any more. */
export async function replacedTable(
  { engine }: Pick<DataVersionParts, 'engine'>,
  tenant: TenantId,
  { tables }: Reads,
  version: DataVersion,
): Promise<string | undefined> {
  for (const { name, history } of tables) {
    if (!history && (await lastChange(engine, tenant, name)) !== (version[tableKey(name)]?.[0] ?? 0))
      return name;
  }
  return undefined;
}

/** Events that retention has forgotten must not be counted as none. */
export function refuseForgotten(
  { catalog }: { readonly catalog: Pick<Catalog, 'setting'> },
  tenant: TenantId,
  { streams }: Reads,
  fromMs: number,
): void {
  for (const { name } of streams) {
    const since = eventsCompleteSince(catalog, tenant, name);
    if (since === undefined || fromMs >= since) continue;
    throw new MillraceError(
      'bad-question',
      `the events of "${name}" before ${new Date(since).toISOString()} are no longer kept: the report cannot be computed for this period any more`,
    );
  }
}

const partitionsOf = (tenant: TenantId, { name, partitions }: StreamDefinition) =>
  Array.from({ length: partitions }, (_, partition) => ({
    tenant,
    stream: name as never,
    partition,
  }));
