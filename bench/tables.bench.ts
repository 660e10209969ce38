/** Dimension tables: loading one, and questions that are joined with it, over HTTP. */
import { type BenchOptions, type Print, progress, round, spread } from './figure.ts';
import { type BenchServer, startServer } from './server.ts';

const SIZES = {
  small: { rows: 2_000, batch: 1_000, events: 4_000, keys: 1_000, runs: 2 },
  full: { rows: 1_000_000, batch: 50_000, events: 300_000, keys: 100_000, runs: 5 },
} as const;
const MINUTE_MS = 60_000;
const LINES = 5_000;
const COUNTRIES = ['de', 'fr', 'us', 'jp', 'br', 'in', 'ng', 'au'];

const keyOf = (n: number): string => `ch${String(n).padStart(8, '0')}`;
const rowOf = (n: number): string =>
  `{"channel":"${keyOf(n)}","country":"${COUNTRIES[n % COUNTRIES.length]}","name":"channel number ${n}"}`;

export async function run({ size }: BenchOptions, print: Print): Promise<void> {
  const { rows, batch, events, keys, runs } = SIZES[size];
  const server = await startServer();
  try {
    await put(server, '/v1/streams/views', {
      fields: { channel: 'string', at: 'timestamp', seconds: 'int32' },
      eventTime: 'at',
      dedupe: false,
    });
    await put(server, '/v1/rollups/by_channel', {
      from: 'views',
      by: ['channel'],
      every: '1m',
      measures: { n: 'count()', s: 'sum(seconds)' },
    });
    await put(server, '/v1/tables/channels', {
      key: 'channel',
      fields: { channel: 'string', country: 'string', name: 'string' },
    });
    for (const name of ['load', 'load again, nothing changes']) {
      const startedMs = performance.now();
      let changed = 0;
      for (let from = 0; from < rows; from += batch) {
        const lines = Array.from({ length: Math.min(batch, rows - from) }, (_, n) => rowOf(from + n));
        const answer = await post(server, '/v1/tables/channels/rows', lines);
        changed += (answer as { changed: number }).changed;
      }
      if (changed !== (name === 'load' ? rows : 0)) throw new Error(`${changed} of ${rows} rows changed`);
      const seconds = (performance.now() - startedMs) / 1_000;
      print({
        bench: 'tables',
        case: name,
        rows,
        batch,
        seconds: round(seconds, 1),
        rows_per_second: round(rows / seconds),
      });
      progress(`${name}: ${round(seconds, 1)} s`);
    }
    const end = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
    const start = end - 60 * MINUTE_MS;
    for (let from = 0; from < events; from += LINES) {
      const lines = Array.from({ length: Math.min(LINES, events - from) }, (_, at) => {
        const n = from + at;
        const channel = keyOf((n * 7_919) % keys);
        return `{"channel":"${channel}","at":${start + ((n * 977) % (60 * MINUTE_MS))},"seconds":${n % 100}}`;
      });
      await post(
        server,
        `/v1/streams/views/events?ack=${from + LINES >= events ? 'stored' : 'durable'}`,
        lines,
      );
    }
    const range = `from=${start}&to=${end}`;
    const cases = {
      'by the key itself, no join': 'by=channel&limit=10',
      'by a column': 'by=channels.country',
      'by a column, series': 'by=channels.country&every=10m',
      'by a column, one key': `by=channels.name&where=channel:eq:${keyOf(7)}`,
      'where a column': 'where=channels.country:eq:de',
      'by a column as of the event': 'by=channels.country&asof=event',
    };
    for (const [name, query] of Object.entries(cases)) {
      const times: number[] = [];
      let counted = 0;
      for (let at = 0; at < runs; at += 1) {
        // Another condition each time: a kept answer tells nothing.
        const path = `/v1/streams/views/stats?fn=count,sum(seconds)&${range}&${query}&order=-count&where=channel:ne:none${at}`;
        const startedMs = performance.now();
        const response = await fetch(`${server.url}${path}`, {
          headers: { authorization: `Bearer ${server.key}` },
        });
        const answer = (await response.json()) as { rows?: { count: number }[] };
        if (!answer.rows) throw new Error(`${name}: ${JSON.stringify(answer)}`);
        times.push(performance.now() - startedMs);
        counted = answer.rows.reduce((sum, { count }) => sum + count, 0);
      }
      const { median, least, most } = spread(times);
      print({
        ...{ bench: 'tables', case: name, table_rows: rows, events, keys, counted },
        ...{ median_ms: round(median, 1), least_ms: round(least, 1), most_ms: round(most, 1) },
      });
    }
  } finally {
    await server.stop();
  }
}

async function put(server: BenchServer, path: string, document: object): Promise<void> {
  await send(server, 'PUT', path, JSON.stringify(document), 'application/json');
}

const post = (server: BenchServer, path: string, lines: readonly string[]): Promise<unknown> =>
  send(server, 'POST', path, `${lines.join('\n')}\n`, 'application/x-ndjson');

async function send(
  server: BenchServer,
  method: string,
  path: string,
  body: string,
  type: string,
): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    body,
    headers: { authorization: `Bearer ${server.key}`, 'content-type': type },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}
