import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  askNumbers,
  createClient,
  FLIGHTS_FILE,
  type Loaded,
  loadFlights,
  type Numbers,
} from '../../demo/run.ts';
import { KEY, type ServerProcess, startServer, temporaryDirectory } from '../support/server-process.ts';

/** The relative error that the quantile sketch promises. */
const SKETCH_ERROR = 0.01;

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;
let loaded: Loaded;
let numbers: Numbers;

beforeAll(async () => {
  directory = await temporaryDirectory();
  server = await startServer(directory.path);
  const client = createClient({ url: server.url, key: KEY });
  loaded = await loadFlights(client, server.url, () => undefined);
  numbers = await askNumbers(client);
}, 300_000);

afterAll(async () => {
  await server?.end('SIGTERM');
  await directory?.remove();
});

/** The same file, read by another engine. */
async function duckdb<Row>(sql: string): Promise<Row[]> {
  const connection = await (await DuckDBInstance.create()).connect();
  try {
    const reader = await connection.runAndReadAll(
      sql.replaceAll('FLIGHTS', `read_parquet('${FLIGHTS_FILE}')`),
    );
    return reader.getRowObjectsJson() as Row[];
  } finally {
    connection.closeSync();
  }
}

describe('the demo agrees with DuckDB over the same file', () => {
  it('stores every flight once', async () => {
    expect(loaded).toMatchObject({
      accepted: 3_000_000,
      rejected: 0,
      stored: 3_000_000,
      duplicates: 0,
      quarantined: 0,
    });
  });

  it('counts and sums to the last digit', async () => {
    const [all] = await duckdb<{ n: string; delay: string; distance: string }>(
      'SELECT count(*) AS n, sum(delay) AS delay, sum(distance) AS distance FROM FLIGHTS',
    );
    expect(numbers.total).toEqual({
      flights: Number(all!.n),
      delay: Number(all!.delay),
      distance: Number(all!.distance),
    });
  });

  it('gives flights and mean delay of each month exactly, and the 95th percentile within the sketch’s error', async () => {
    const months = await duckdb<{ month: string; n: string; delay: string; low: string; high: string }>(
      `SELECT month, count(*) AS n, sum(delay) AS delay,
         list_sort(list(delay))[1 + CAST(floor(0.95 * (count(*) - 1)) AS BIGINT)] AS low,
         list_sort(list(delay))[1 + CAST(ceil(0.95 * (count(*) - 1)) AS BIGINT)] AS high
       FROM (SELECT strftime(date, '%Y-%m') AS month, delay FROM FLIGHTS) GROUP BY month ORDER BY month`,
    );
    expect(numbers.months.map(({ month, flights }) => [month, flights])).toEqual(
      months.map((row) => [row.month, Number(row.n)]),
    );
    for (const [i, row] of months.entries()) {
      const ours = numbers.months[i]!;
      expect(ours.mean).toBe(Number(row.delay) / Number(row.n));
      expect(ours.p95).toBeGreaterThanOrEqual(Number(row.low) * (1 - SKETCH_ERROR) - 1e-9);
      expect(ours.p95).toBeLessThanOrEqual(Number(row.high) * (1 + SKETCH_ERROR) + 1e-9);
    }
  });

  it('finds the ten busiest routes and the worst days', async () => {
    const routes = await duckdb<{ origin: string; destination: string; n: string }>(
      'SELECT origin, destination, count(*) AS n FROM FLIGHTS GROUP BY ALL ORDER BY n DESC, origin, destination LIMIT 10',
    );
    expect(numbers.routes).toEqual(
      routes.map((row) => ({ origin: row.origin, destination: row.destination, flights: Number(row.n) })),
    );
    const days = await duckdb<{ day: string; delay: string; n: string }>(
      "SELECT strftime(date, '%Y-%m-%d') AS day, sum(delay) AS delay, count(*) AS n FROM FLIGHTS GROUP BY ALL ORDER BY sum(delay) / count(*) DESC LIMIT 5",
    );
    expect(numbers.worstDays).toEqual(
      days.map((row) => ({ day: row.day, mean: Number(row.delay) / Number(row.n), flights: Number(row.n) })),
    );
  });

  it('answers from rollups', () => {
    expect(numbers.sources).toEqual([
      'rollup flights_by_time',
      'rollup flights_by_route',
      'rollup flights_by_time',
      'rollup flights_by_time',
    ]);
  });
});
