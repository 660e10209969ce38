/**
 * Results on their way into the result stream. A result's id says which one it is, and the rows of the step that are there
 * already are left out; so a step may be published any number of times.
 */
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import { type Catalog, eventsCompleteSince } from '../catalog/port.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import { type Engine, eventsTable, type Statement } from '../store/index.ts';
import type { Status } from './result-stream.ts';
import { Parameters, statement } from './source.ts';
import { type Counts, NOTHING, type PendingStep } from './step.ts';

export interface PublishParts {
  readonly catalog: Pick<Catalog, 'setting'>;
  readonly engine: Pick<Engine, 'query'>;
  readonly log: Pick<Log, 'append' | 'state'>;
  readonly ingest: Pick<Ingest, 'applied'>;
}

/** One result before it has its version. */
export interface Told {
  readonly startMs: number;
  readonly endMs: number;
  readonly key: string;
  readonly status: Status;
  readonly events: number;
  /** Late events that came with this step. */
  readonly fresh: number;
  /** Of what was counted, a UInt64. */
  readonly digest: string;
  /** Members of the result's own fields: name and JSON text. */
  readonly members: readonly (readonly [string, string])[];
}

/** What earlier steps have published of a window and key. */
interface Earlier {
  readonly version: number;
  readonly late: number;
  /** The step under way has told it already. */
  readonly isTold: boolean;
}

const LINES_MAX = 5_000;

export const resultKey = (tenant: TenantId, window: string): PartitionKey => ({
  tenant,
  stream: window as StreamName,
  partition: 0,
});

/** Everything that was appended is in the store: what is asked next sees it. */
export async function resultsApplied(
  { log, ingest }: PublishParts,
  tenant: TenantId,
  window: string,
): Promise<void> {
  const key = resultKey(tenant, window);
  const { start, end } = log.state(key);
  if (end > start) await ingest.applied(key, start, end);
}

export async function publish(
  parts: PublishParts,
  tenant: TenantId,
  window: string,
  step: PendingStep,
  results: readonly Told[],
): Promise<Counts> {
  let counts = NOTHING;
  for (let at = 0; at < results.length; at += LINES_MAX) {
    const some = results.slice(at, at + LINES_MAX);
    const earlier = await readEarlier(parts.engine, tenant, window, step.step, some);
    // Read behind the rows: what retention drops it notes before.
    const forgottenMs = eventsCompleteSince(parts.catalog, tenant, window) ?? Number.NEGATIVE_INFINITY;
    const fresh = some.filter((one) => !earlier.get(idOf(one))?.isTold);
    for (const { status } of fresh) counts = { ...counts, [status]: counts[status] + 1 };
    if (fresh.length === 0) continue;
    const lines = fresh.map((one) => lineOf(window, step, one, earlier.get(idOf(one)), forgottenMs));
    const bytes = Buffer.from(lines.join(''));
    const key = resultKey(tenant, window);
    const { baseOffset, count } = await parts.log.append(key, {
      ...{ chunks: [bytes], count: lines.length, bytes: bytes.length },
    });
    await parts.ingest.applied(key, baseOffset, (baseOffset + count) as Offset);
  }
  return counts;
}

const idOf = ({ startMs, key }: Pick<Told, 'startMs' | 'key'>): string => JSON.stringify([startMs, key]);
const iso = (ms: number): string => new Date(ms).toISOString();

/**
 * A step tells a window once, so that no version is greater than its step's number: where earlier versions may be
 * forgotten, that number is one that none of them had.
 */
export const versionOf = (
  { step }: Pick<PendingStep, 'step'>,
  startMs: number,
  stored: number,
  forgottenMs: number,
): number => Math.max(stored + 1, startMs < forgottenMs ? step : 1);

function lineOf(
  window: string,
  step: PendingStep,
  told: Told,
  earlier: Earlier | undefined,
  forgottenMs: number,
): string {
  const version = versionOf(step, told.startMs, earlier?.version ?? 0, forgottenMs);
  const isLate = told.status === 'corrected';
  const own = {
    _id: `${window}/${told.startMs}/${told.key}/${version}`,
    window_start: iso(told.startMs),
    window_end: iso(told.endMs),
    window_key: told.key,
    version,
    status: told.status,
    events: told.events,
    late: isLate ? (earlier?.late ?? 0) + told.fresh : told.status === 'retracted' ? (earlier?.late ?? 0) : 0,
    watermark: step.to.atMs === null ? null : iso(step.to.atMs),
    step: step.step,
    window_digest: told.digest,
  };
  const members = told.members.map(([name, json]) => `,${JSON.stringify(name)}:${json}`).join('');
  return `${JSON.stringify(own).slice(0, -1)}${members}}\n`;
}

async function readEarlier(
  engine: Pick<Engine, 'query'>,
  tenant: TenantId,
  window: string,
  step: number,
  results: readonly Told[],
): Promise<ReadonlyMap<string, Earlier>> {
  const parameters = new Parameters();
  const starts = results.map(({ startMs }) => startMs);
  const from = parameters.bind('Int64', Math.min(...starts));
  const to = parameters.bind('Int64', Math.max(...starts));
  const keys = parameters.bind('Array(String)', [...new Set(results.map(({ key }) => key))]);
  const now = parameters.bind('UInt64', step);
  const rows = await compactRows<[string, string, string, string, string]>(
    engine,
    statement(
      `SELECT toString(toUnixTimestamp64Milli(window_start)), window_key, toString(maxIf(version, step < ${now})), toString(argMaxIf(late, version, step < ${now})), toString(countIf(step >= ${now}))
FROM ${eventsTable(tenant, window)}
WHERE _time >= fromUnixTimestamp64Milli(${from}, 'UTC') AND _time <= fromUnixTimestamp64Milli(${to}, 'UTC') AND has(${keys}, window_key)
GROUP BY window_start, window_key`,
      parameters,
    ),
  );
  return new Map(
    rows.map(([start, key, version, late, told]) => [
      idOf({ startMs: Number(start), key }),
      { version: Number(version), late: Number(late), isTold: told !== '0' },
    ]),
  );
}

export async function compactRows<Row>(
  engine: Pick<Engine, 'query'>,
  asked: Statement,
  tenant?: TenantId,
): Promise<readonly Row[]> {
  const bytes = await engine.query(asked, 'JSONCompactEachRow', tenant === undefined ? {} : { tenant });
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}
