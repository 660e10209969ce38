/** What stands in the result stream of a window. */
import { columnOf, fieldOf } from '../define/model.ts';
import { type Engine, eventsTable, quoteIdentifier } from '../store/index.ts';
import { compactRows, type Told } from './publish.ts';
import { resultFields, valueText } from './result-stream.ts';
import type { Published } from './sessions.ts';
import { Parameters, type Prepared, statement } from './source.ts';

/** Sessions that stand published: the newest version of each, before the step, that ends behind `endsAfterMs`. */
export async function readSessions(
  engine: Pick<Engine, 'query'>,
  prepared: Prepared,
  reach: {
    readonly keys: readonly string[];
    readonly firstStep: number;
    readonly beforeStep: number;
    readonly endsAfterMs: number;
    readonly longestMs: number;
  },
): Promise<ReadonlyMap<string, readonly Published[]>> {
  const parameters = new Parameters();
  const keys = parameters.bind('Array(String)', reach.keys);
  const conditions = [
    `has(${keys}, window_key)`,
    `step >= ${parameters.bind('UInt64', reach.firstStep)}`,
    `step < ${parameters.bind('UInt64', reach.beforeStep)}`,
  ];
  const isBounded = Number.isFinite(reach.endsAfterMs);
  if (isBounded) conditions.push(`_time >= ${moment(parameters, reach.endsAfterMs - reach.longestMs)}`);
  // A later version may end before an earlier one.
  const having = isBounded ? ` HAVING ended > ${parameters.bind('Int64', reach.endsAfterMs)}` : '';
  const rows = await compactRows<
    [string, string, string, string, string, string, string, string, readonly string[]]
  >(
    engine,
    statement(
      `SELECT window_key, toString(toUnixTimestamp64Milli(_time)), toString(toUnixTimestamp64Milli(argMax(window_end, version)) AS ended), toString(max(version)), toString(argMax(late, version)), toString(argMax(status, version)), toString(argMax(window_digest, version)), toString(argMax(events, version)), argMax(${keysSql(prepared)}, version)
FROM ${eventsTable(prepared.tenant, prepared.window.name)} WHERE ${conditions.join(' AND ')} GROUP BY window_key, _time${having} ORDER BY window_key, _time`,
      parameters,
    ),
    prepared.tenant,
  );
  const found = new Map<string, Published[]>();
  for (const [key, start, end, version, late, status, digest, events, keys] of rows) {
    if (status === 'retracted') continue;
    const one = {
      ...{ startMs: Number(start), endMs: Number(end), version: Number(version), late: Number(late) },
      ...{ digest, events: Number(events), keys },
    };
    found.set(key, [...(found.get(key) ?? []), one]);
  }
  return found;
}

/** A window and key that was told: the newest version before the step. */
export interface ToldBefore {
  readonly startMs: number;
  readonly endMs: number;
  readonly key: string;
  readonly isRetracted: boolean;
  readonly digest: string;
  readonly events: number;
  /** JSON texts of the keys. */
  readonly keys: readonly string[];
}

/** Behind one window and key, up to another. */
export interface ToldReach {
  readonly firstStep: number;
  readonly beforeStep: number;
  /** Of starts; one of them may be what `after` is in. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly after: { readonly startMs: number; readonly key: string } | undefined;
  readonly until: { readonly startMs: number; readonly key: string } | undefined;
  readonly limit: number;
}

const moment = (parameters: Parameters, ms: number): string =>
  `fromUnixTimestamp64Milli(${parameters.bind('Int64', ms)}, 'UTC')`;

/** In the order of start and key. */
export async function readTold(
  engine: Pick<Engine, 'query'>,
  prepared: Prepared,
  { firstStep, beforeStep, fromMs, toMs, after, until, limit }: ToldReach,
): Promise<readonly ToldBefore[]> {
  const { tenant, window } = prepared;
  const parameters = new Parameters();
  const place = ({ startMs, key }: { startMs: number; key: string }) =>
    `(${moment(parameters, startMs)}, ${parameters.bind('String', key)})`;
  const conditions = [
    `_time >= ${moment(parameters, fromMs)} AND _time <= ${moment(parameters, toMs)}`,
    `step >= ${parameters.bind('UInt64', firstStep)} AND step < ${parameters.bind('UInt64', beforeStep)}`,
    ...(after === undefined ? [] : [`(_time, window_key) > ${place(after)}`]),
    ...(until === undefined ? [] : [`(_time, window_key) <= ${place(until)}`]),
  ];
  const rows = await compactRows<[string, string, string, string, string, string, readonly string[]]>(
    engine,
    statement(
      `SELECT toString(toUnixTimestamp64Milli(_time)), toString(toUnixTimestamp64Milli(argMax(window_end, version))), window_key, toString(argMax(status, version)), toString(argMax(window_digest, version)), toString(argMax(events, version)), argMax(${keysSql(prepared)}, version)
FROM ${eventsTable(tenant, window.name)} WHERE ${conditions.join(' AND ')} GROUP BY _time, window_key ORDER BY _time, window_key LIMIT ${parameters.bind('UInt64', limit)}`,
      parameters,
    ),
    tenant,
  );
  return rows.map(([start, end, key, status, digest, events, keys]) => ({
    ...{ startMs: Number(start), endMs: Number(end), key, isRetracted: status === 'retracted' },
    ...{ digest, events: Number(events), keys },
  }));
}

/** Starts of windows that were told, in order. */
export async function readStarts(
  engine: Pick<Engine, 'query'>,
  { tenant, window }: Prepared,
  reach: Pick<ToldReach, 'firstStep' | 'beforeStep' | 'fromMs' | 'toMs' | 'limit'>,
): Promise<readonly number[]> {
  const parameters = new Parameters();
  const rows = await compactRows<[string]>(
    engine,
    statement(
      `SELECT DISTINCT toString(toUnixTimestamp64Milli(_time)) FROM ${eventsTable(tenant, window.name)}
WHERE _time >= ${moment(parameters, reach.fromMs)} AND _time <= ${moment(parameters, reach.toMs)}
AND step >= ${parameters.bind('UInt64', reach.firstStep)} AND step < ${parameters.bind('UInt64', reach.beforeStep)}
ORDER BY _time LIMIT ${parameters.bind('UInt64', reach.limit)}`,
      parameters,
    ),
    tenant,
  );
  return rows.map(([start]) => Number(start));
}

/** Keys as an array of JSON texts, as a later version tells them again. */
function keysSql({ window, results }: Prepared): string {
  const keys = window.by.map((name) => {
    const field = results && fieldOf(results, name);
    return field ? `toJSONString(${valueText(field, quoteIdentifier(columnOf(field)))})` : "'null'";
  });
  return keys.length === 0 ? "CAST([], 'Array(String)')" : `[${keys.join(', ')}]`;
}

/** It says whose it was, and counts nothing. */
export function retraction(
  prepared: Prepared,
  told: Pick<ToldBefore, 'startMs' | 'endMs' | 'key' | 'keys'>,
): Told {
  const { by } = prepared.window;
  const members = resultFields(prepared).map(({ name }) => {
    const at = by.indexOf(name);
    return [name, at < 0 ? 'null' : (told.keys[at] ?? 'null')] as const;
  });
  const { startMs, endMs, key } = told;
  return { startMs, endMs, key, status: 'retracted', events: 0, fresh: 0, digest: '0', members };
}
