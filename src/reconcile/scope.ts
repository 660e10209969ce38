/** What is compared: the definitions, the tables, and of each log partition the offsets that ought to be there. */
import type { PartitionKey, TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { eventsCompleteSince, type Versioned } from '../catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import { discardedTable, eventsTable, quarantineTable } from '../store/index.ts';
import type { ReconcileParts } from './parts.ts';
import type { ReconcileRequest } from './port.ts';

export interface PartitionScope {
  readonly key: PartitionKey;
  /** The offsets [from, cut) ought to be there, each once. */
  readonly from: number;
  readonly cut: number;
  /** Everything below it is in the store. */
  readonly applied: number;
  /** Below it retention has dropped rows of at least one table. */
  readonly forgotten: number;
  /** The log holds what is at or behind it. */
  readonly logStart: number;
}

export interface Scope {
  readonly tenant: TenantId;
  readonly stream: Versioned<StreamDefinition>;
  readonly rollups: readonly Versioned<RollupDefinition>[];
  /** Quoted names. */
  readonly raw: { readonly events: string; readonly quarantine: string; readonly discarded: string };
  readonly partitions: readonly PartitionScope[];
  /** Arrivals before it are not all there any more; 0 when all are. */
  readonly forgottenBeforeMs: number;
  /** Events of before this event time are not all there any more. */
  readonly completeSinceMs: number | undefined;
}

export type RawTable = keyof Scope['raw'];
export const RAW_TABLES: readonly RawTable[] = ['events', 'quarantine', 'discarded'];

/** What is applied now is what will be compared. Fails with `unknown-stream` or `unknown-rollup`. */
export async function scopeOf(
  parts: Pick<ReconcileParts, 'catalog' | 'log' | 'ingest'>,
  tenant: TenantId,
  name: string,
  request: Pick<ReconcileRequest, 'rollups' | 'fromMs' | 'toMs'>,
): Promise<Scope> {
  const { catalog, log, ingest } = parts;
  const stream = streamOf(parts, tenant, name);
  const rollups = rollupsOf(parts, tenant, name, request.rollups);
  const forgottenBeforeMs = Math.max(
    ...RAW_TABLES.map((table) => catalog.ledger.forgottenBefore(tenant, name, table)),
  );
  const partitions: PartitionScope[] = [];
  for (let partition = 0; partition < stream.definition.partitions; partition += 1) {
    const key = { tenant, stream: stream.definition.name, partition };
    const applied: number = ingest.state(key).applied;
    const forgotten = Math.min(applied, await firstKept(parts, key, forgottenBeforeMs));
    const from = request.fromMs === undefined ? 0 : await log.offsetAt(key, request.fromMs);
    const to = request.toMs === undefined ? applied : await log.offsetAt(key, request.toMs);
    const first = Math.max(forgotten, from);
    partitions.push({
      ...{ key, applied, from: first, cut: Math.max(first, Math.min(applied, to)), forgotten },
      logStart: log.state(key).start,
    });
  }
  return {
    ...{ tenant, stream, rollups, partitions, forgottenBeforeMs },
    raw: {
      events: eventsTable(tenant, name),
      quarantine: quarantineTable(tenant, name),
      discarded: discardedTable(tenant, name),
    },
    completeSinceMs: eventsCompleteSince(catalog, tenant, name),
  };
}

/** The offset of the first record that arrived at or after the moment, also when the log has forgotten it. */
async function firstKept(
  { catalog, log }: Pick<ReconcileParts, 'catalog' | 'log'>,
  key: PartitionKey,
  atMs: number,
): Promise<number> {
  if (atMs === 0) return 0;
  const { start } = log.state(key);
  const offset = await log.offsetAt(key, atMs);
  if (start === 0 || offset > start) return offset;
  // The log begins behind that moment; what it has forgotten was sealed before.
  const { tenant, stream, partition } = key;
  const [row] = await catalog.ledger.rows(tenant, stream, { partition, fromMs: atMs, limit: 1 });
  return row && row.startMs >= atMs ? Math.min(row.from, offset) : offset;
}

export function streamOf(
  { catalog }: Pick<ReconcileParts, 'catalog'>,
  tenant: TenantId,
  name: string,
): Versioned<StreamDefinition> {
  const stream = catalog.stream(tenant, name);
  if (stream) return stream;
  throw new MillraceError('unknown-stream', `There is no stream ${JSON.stringify(name)}.`);
}

export function rollupsOf(
  { catalog }: Pick<ReconcileParts, 'catalog'>,
  tenant: TenantId,
  stream: string,
  names: readonly string[] | undefined,
): readonly Versioned<RollupDefinition>[] {
  const all = catalog.rollups(tenant).filter(({ definition }) => definition.from === stream);
  for (const name of names ?? []) {
    if (all.some(({ definition }) => definition.name === name)) continue;
    throw new MillraceError(
      'unknown-rollup',
      `The stream ${stream} has no rollup ${JSON.stringify(name)}; it has ${all.map((one) => one.definition.name).join(', ') || 'none'}.`,
    );
  }
  return names === undefined ? all : all.filter(({ definition }) => names.includes(definition.name));
}
