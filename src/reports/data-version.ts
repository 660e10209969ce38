/** Which streams a report may read, and how far they are applied. */
import type { Offset, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type Catalog, eventsCompleteSince } from '../catalog/port.ts';
import type { ReportDefinition, StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { DataVersion } from './port.ts';

export interface DataVersionParts {
  readonly catalog: Pick<Catalog, 'stream' | 'streams' | 'rollups' | 'setting'>;
  readonly ingest: Pick<Ingest, 'state' | 'applied'>;
  readonly log: Pick<Log, 'state'>;
  readonly clock: Clock;
}

/** What was accepted before the run began is waited for that long; then what is there counts. */
const WAIT_MS_MAX = 60_000;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/g;

/**
 * The streams of a report, by name: those its questions name, and in SQL those whose name, or a name of one of whose
 * rollups, is met anywhere in the text. That may be one too many, and never one too few: a relation has no other name.
 */
export function streamsOf(
  catalog: Pick<Catalog, 'streams' | 'rollups'>,
  tenant: TenantId,
  { questions }: Pick<ReportDefinition, 'questions'>,
): readonly StreamDefinition[] {
  const words = new Set(
    questions.flatMap((one) => ('sql' in one ? (one.sql.match(WORD) ?? []) : [one.stream])),
  );
  for (const { definition } of catalog.rollups(tenant))
    if (words.has(definition.name)) words.add(definition.from);
  return catalog
    .streams(tenant)
    .map(({ definition }) => definition)
    .filter(({ name }) => words.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Everything that was accepted before it is called is in it, if that is applied within a minute. */
export async function newestDataVersion(
  parts: DataVersionParts,
  tenant: TenantId,
  streams: readonly StreamDefinition[],
  signal: AbortSignal,
): Promise<DataVersion> {
  const { ingest, log, clock } = parts;
  const enough = new AbortController();
  const keys = streams.flatMap((stream) => partitionsOf(tenant, stream));
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
  return appliedNow(parts, tenant, streams);
}

export const appliedNow = (
  { ingest }: Pick<DataVersionParts, 'ingest'>,
  tenant: TenantId,
  streams: readonly StreamDefinition[],
): DataVersion =>
  Object.fromEntries(
    streams.map((stream) => [
      stream.name,
      partitionsOf(tenant, stream).map((key) => Number(ingest.state(key).applied)),
    ]),
  );

/** Fails with `bad-question` when it is not one of these streams, or not all applied yet. */
export function checkDataVersion(
  parts: Pick<DataVersionParts, 'ingest'>,
  tenant: TenantId,
  streams: readonly StreamDefinition[],
  version: DataVersion,
): DataVersion {
  const now = appliedNow(parts, tenant, streams);
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
      `data_version names ${names.join(', ')}, each with one offset for each log partition that is applied already; take that of an earlier run`,
      { issues: [{ path: 'data_version', message: 'is not a version of the data that this report reads' }] },
    );
  return Object.fromEntries(names.map((name) => [name, version[name]!]));
}

/** Events that retention has forgotten must not be counted as none. */
export function refuseForgotten(
  { catalog }: Pick<DataVersionParts, 'catalog'>,
  tenant: TenantId,
  streams: readonly StreamDefinition[],
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
