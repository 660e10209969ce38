/** Three million real flights through the HTTP front door, and what was counted. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { sendFile } from '../src/cli/send.ts';
import { createClient, type MillraceClient } from '../src/client/index.ts';
import { toDocument } from '../src/define/index.ts';
import { flights, flightsByRoute, flightsByTime } from './definitions.ts';

/** `node_modules` of the project, seen from `demo/` and from `dist/demo/` alike. */
const NODE_MODULES = join(dirname(createRequire(import.meta.url).resolve('chdb/package.json')), '..');
export const FLIGHTS_FILE = join(NODE_MODULES, 'vega-datasets/data/flights-3m.parquet');

export interface Loaded {
  readonly accepted: number;
  readonly rejected: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly seconds: number;
  /** Milliseconds from the last acknowledgement until everything was visible. */
  readonly lastVisibleMs: number;
  /** The server's own measure of freshness during the load, milliseconds, ascending. */
  readonly freshnessMs: readonly number[];
}

export interface Numbers {
  readonly months: readonly {
    readonly month: string;
    readonly flights: number;
    readonly mean: number;
    readonly p95: number;
  }[];
  readonly routes: readonly {
    readonly origin: string;
    readonly destination: string;
    readonly flights: number;
  }[];
  readonly worstDays: readonly { readonly day: string; readonly mean: number; readonly flights: number }[];
  readonly total: { readonly flights: number; readonly delay: number; readonly distance: number };
  readonly sources: readonly string[];
}

interface State {
  readonly accepted: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly pending: number;
  readonly freshness_ms: number;
}

export async function loadFlights(
  client: MillraceClient,
  url: string,
  onProgress: (share: number, records: number) => void,
): Promise<Loaded> {
  await client.putStream('flights', toDocument(flights));
  for (const rollup of [flightsByTime, flightsByRoute])
    await client.putRollup(rollup.name, toDocument(rollup));
  const freshnessMs: number[] = [];
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const state = await stateOf(client).catch(() => undefined);
      if (state && state.freshness_ms > 0) freshnessMs.push(state.freshness_ms);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  const started = performance.now();
  const sent = await sendFile({
    client,
    url,
    stream: 'flights',
    file: FLIGHTS_FILE,
    rowNumber: 'row',
    state: false,
    onProgress: ({ share, records }) => onProgress(share ?? 0, records),
  });
  const acknowledged = performance.now();
  let state = await stateOf(client);
  while (state.pending > 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    state = await stateOf(client);
  }
  const visible = performance.now();
  watching.abort();
  await watch;
  return {
    accepted: sent.accepted,
    rejected: sent.rejected,
    stored: state.stored,
    duplicates: state.duplicates,
    quarantined: state.quarantined,
    seconds: (visible - started) / 1_000,
    lastVisibleMs: visible - acknowledged,
    freshnessMs: freshnessMs.sort((a, b) => a - b),
  };
}

async function stateOf(client: MillraceClient): Promise<State> {
  const found = (await client.streams()).find((stream) => stream.name === 'flights');
  if (!found) throw new Error('the stream "flights" is gone');
  return found.state as unknown as State;
}

export async function askNumbers(client: MillraceClient): Promise<Numbers> {
  const months = await client.getStats('flights', {
    fn: ['count', 'avg(delay)', 'p95(delay)'],
    every: '1mo',
  });
  const routes = await client.getStats('flights', {
    fn: 'count',
    by: 'origin,destination',
    order: '-count',
    limit: 10,
  });
  const days = await client.getStats('flights', {
    fn: ['avg(delay)', 'count'],
    every: '1d',
    order: '-avg(delay)',
    limit: 5,
  });
  const total = await client.getStats('flights', { fn: ['count', 'sum(delay)', 'sum(distance)'] });
  const first = total.rows[0]!;
  return {
    months: months.rows.map((row) => ({
      month: row.time.slice(0, 7),
      flights: Number(row.count),
      mean: row['avg(delay)']!,
      p95: row['p95(delay)']!,
    })),
    routes: routes.rows.map((row) => ({
      origin: String(row.origin),
      destination: String(row.destination),
      flights: Number(row.count),
    })),
    worstDays: days.rows.map((row) => ({
      day: row.time.slice(0, 10),
      mean: row['avg(delay)']!,
      flights: Number(row.count),
    })),
    total: {
      flights: Number(first.count),
      delay: Number(first['sum(delay)']),
      distance: Number(first['sum(distance)']),
    },
    sources: [months, routes, days, total].map((answer) => answer.meta.source),
  };
}

export { createClient };
