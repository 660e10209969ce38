/** Answers in every format: whole, exact, joined of several chunks of the engine, and broken off where they must. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import { KEY, type Parts, startParts, startServer } from './support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
const ROWS = 200_000;

beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts, { sqlLimits: { memoryBytesMax: 2 ** 27 } });
  await server.call('PUT', '/v1/streams/numbers', { fields: { word: 'string', amount: 'int64' } });
  await server.call('POST', '/v1/streams/numbers/events?ack=stored', '[{"word":"a","amount":1}]');
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

/** 0 … rows - 1, in several blocks. */
const counted = (rows: number) =>
  `SELECT toInt32(a.x * 200 + b.x) AS n FROM (SELECT arrayJoin(range(${rows / 200})) AS x FROM numbers) AS a, (SELECT arrayJoin(range(200)) AS x FROM numbers) AS b`;
/** Rows that come in several chunks, with every kind of value. */
const MANY = `SELECT n, toString(n) || ',"\\n''' AS text, if(n % 3 = 0, NULL, n / 2) AS half, toDate('2024-01-01') + n % 9 AS day, [n, 1] AS list, bitXor(toUInt64(18446744073709551615), toUInt64(n)) AS big, toLowCardinality(toString(n % 3)) AS low FROM (${counted(ROWS)})`;

async function ask(query: string, format: string, more: object = {}, url = server.url): Promise<Response> {
  return fetch(`${url}/v1/sql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, format, ...more }),
  });
}

/** A server may find out before or behind the head that it cannot answer. */
async function outcomeOf(response: Response): Promise<'refused' | 'broken off' | 'whole'> {
  if (response.status === 400) return 'refused';
  return (await broken(response)) === undefined ? 'whole' : 'broken off';
}

/** What came before the connection broke off, or undefined when it did not. */
async function broken(response: Response): Promise<string | undefined> {
  let text = '';
  try {
    for await (const chunk of response.body!)
      text = (text + Buffer.from(chunk).toString('latin1')).slice(-(2 ** 24));
  } catch {
    return text;
  }
  return undefined;
}

describe('an answer in SQL', () => {
  it('of many rows is one document in each format of text', async () => {
    const lines = (await (await ask(MANY, 'ndjson')).text()).trimEnd().split('\n');
    expect(lines.length).toBe(ROWS);
    const first =
      '{"n":0,"text":"0,\\"\\n\'","half":null,"day":"2024-01-01","list":[0,1],"big":18446744073709551615,"low":"0"}';
    expect(lines).toContain(first);

    const json = await (await ask(`${MANY} LIMIT 100000`, 'json')).text();
    expect(json).toContain(first);
    const parsed = JSON.parse(json) as {
      columns: { name: string }[];
      rows: { n: number }[];
      statistics: object;
    };
    expect(parsed.columns.map(({ name }) => name)).toEqual([
      'n',
      'text',
      'half',
      'day',
      'list',
      'big',
      'low',
    ]);
    expect(new Set(parsed.rows.map(({ n }) => n)).size).toBe(100_000);
    expect(parsed.statistics).toEqual({ rows: 100_000 });

    const csv = await (await ask(`SELECT n AS "a ""b" FROM (${MANY})`, 'csv')).text();
    const [header, ...cells] = csv.trimEnd().split('\n');
    expect(header).toBe('"a ""b"');
    expect(cells.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: ROWS }, (_, n) => n));
  });

  it('of many rows is one Arrow stream', async () => {
    const response = await ask(MANY, 'arrow');
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream');
    const table = tableFromIPC(Buffer.from(await response.arrayBuffer()));
    expect(table.numRows).toBe(ROWS);
    expect(table.batches.length).toBeGreaterThan(1);
    const row = table.get(5)!;
    expect(row.big).toBe(18446744073709551615n - BigInt(row.n));
  });

  it('of many rows is one Parquet file', async () => {
    const path = join(parts.directory, 'many.parquet');
    const empty = join(parts.directory, 'empty.parquet');
    await writeFile(path, Buffer.from(await (await ask(MANY, 'parquet')).arrayBuffer()));
    await writeFile(empty, Buffer.from(await (await ask(`${MANY} WHERE n < 0`, 'parquet')).arrayBuffer()));
    const duck = await (await DuckDBInstance.create()).connect();
    const groups = await duck.runAndReadAll(
      `SELECT count(DISTINCT row_group_id) FROM parquet_metadata('${path}')`,
    );
    expect(Number(groups.getRows()[0]![0])).toBeGreaterThan(1);
    const sums = await duck.runAndReadAll(
      `SELECT count(*), sum(n), count(half), sum(half), count(DISTINCT text), count(DISTINCT big), sum(list[1]), min(low), max(day) FROM '${path}'`,
    );
    const own = await parts.deps.engine.rows<Record<string, string>>({
      text: `SELECT count() AS a, sum(n) AS b, count(half) AS c, sum(half) AS d, uniqExact(text) AS e, uniqExact(big) AS f, sum(list[1]) AS g FROM file('${path}', 'Parquet')`,
    });
    const total = (ROWS * (ROWS - 1)) / 2;
    expect(sums.getRows()[0]!.slice(0, 3).map(Number)).toEqual([ROWS, total, ROWS - Math.ceil(ROWS / 3)]);
    expect(Object.values(own[0]!).map(Number)).toEqual(sums.getRows()[0]!.slice(0, 7).map(Number));
    const none = await duck.runAndReadAll(`SELECT count(*) FROM '${empty}'`);
    expect(Number(none.getRows()[0]![0])).toBe(0);
    const columns = await duck.runAndReadAll(`DESCRIBE SELECT * FROM '${empty}'`);
    expect(columns.getRows().length).toBe(7);
  });

  it('without rows is whole in each format', async () => {
    const query = 'SELECT word, amount FROM numbers WHERE amount > 5';
    expect(await (await ask(query, 'json')).json()).toMatchObject({ rows: [], statistics: { rows: 0 } });
    expect(await (await ask(query, 'ndjson')).text()).toBe('');
    expect(await (await ask(query, 'csv')).text()).toBe('"word","amount"\n');
    expect(tableFromIPC(Buffer.from(await (await ask(query, 'arrow')).arrayBuffer())).numRows).toBe(0);
  });

  it('may be larger in the formats for programs than in JSON', async () => {
    expect((await (await ask(MANY, 'ndjson')).text()).length).toBeGreaterThan(2 ** 23);
    expect(await outcomeOf(await ask(MANY, 'json'))).not.toBe('whole');
  });
});

describe('an answer that fails in the middle', () => {
  it('breaks off the connection, and says why where the format can', async () => {
    const { guests } = parts.deps;
    const failing = await startServer(parts, {
      guests: {
        place: guests.place.bind(guests),
        guest: (tenant, limits) => {
          const guest = guests.guest(tenant, limits);
          return {
            ...guest,
            stream: async function* (statement, format) {
              for await (const chunk of guest.stream(statement, format)) {
                yield chunk;
                throw new MillraceError('query-timeout', 'it took "too" long');
              }
            },
          };
        },
      },
    });
    for (const [format, words] of [
      ['json', '\n],"error":{"type":"/problems/query-timeout"'],
      ['ndjson', '\n{"error":{"type":"/problems/query-timeout"'],
      ['csv', '\n"error","/problems/query-timeout","it took ""too"" long"'],
      ['arrow', ''],
      ['parquet', ''],
    ] as const) {
      const response = await ask(`${MANY} LIMIT 99999`, format, {}, failing.url);
      expect(response.status, format).toBe(200);
      const got = await broken(response);
      expect(got, format).toBeDefined();
      expect(got!.slice(-600), format).toContain(words);
      if (format === 'json') {
        expect(() => JSON.parse(got!)).toThrow();
        // Only the end is missing.
        expect(JSON.parse(`${got}}`)).toMatchObject({ columns: [{ name: 'n' }, {}, {}, {}, {}, {}, {}] });
      }
      if (format === 'parquet') expect(got!.endsWith('PAR1')).toBe(false);
    }
    await failing.close();
  });

  it('of the engine itself is never taken for a whole one', async () => {
    // The last row divides by zero.
    const query = `SELECT intDiv(1, toInt32(if(n = 999999, 0, 1))) AS x, toString(n) AS text FROM (${counted(1_000_000)})`;
    for (const format of ['ndjson', 'csv', 'arrow', 'parquet']) {
      expect(await outcomeOf(await ask(query, format)), format).not.toBe('whole');
    }
  });
});

describe('limits', () => {
  it('a question over its memory fails alone', async () => {
    const greedy =
      'SELECT length(groupArray(x)) FROM (SELECT arrayJoin(range(9000000)) AS x FROM numbers ORDER BY x)';
    const replies = await Promise.all([
      ask(greedy, 'json'),
      ask('SELECT sum(amount) AS s FROM numbers', 'json'),
      server.call('GET', '/v1/streams/numbers/stats'),
    ]);
    expect(await replies[0].json()).toMatchObject({
      type: '/problems/bad-question',
      detail: expect.stringContaining('memory'),
    });
    expect(await replies[1].json()).toMatchObject({ rows: [{ s: 1 }] });
    expect(replies[2].status).toBe(200);
    expect((await ask('SELECT 1', 'json')).status).toBe(200);
  });

  it('a question over its time is stopped', async () => {
    const slow = await startServer(parts, { sqlLimits: { timeoutSeconds: 0.3 } });
    const many = Array.from(
      { length: 9 },
      (_, n) => `(SELECT arrayJoin(range(1000)) AS x FROM numbers) AS t${n}`,
    );
    const reply = await slow.call('POST', '/v1/sql', {
      query: `SELECT count() FROM ${many.join(', ')} WHERE t0.x + t8.x = 1`,
    });
    expect(reply.json, reply.text).toMatchObject({ type: '/problems/query-timeout' });
    await slow.close();
  });

  it('a client that leaves in the middle ends the question and frees its place', async () => {
    const endless = `SELECT a.x AS x, toString(b.x) || '${'y'.repeat(100)}' AS y FROM (SELECT arrayJoin(range(100000)) AS x FROM numbers) AS a, (SELECT arrayJoin(range(1000)) AS x FROM numbers) AS b`;
    for (let round = 0; round < 6; round += 1) {
      const stop = new AbortController();
      const response = await fetch(`${server.url}/v1/sql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ query: endless, format: round % 2 === 0 ? 'ndjson' : 'parquet' }),
        signal: stop.signal,
      });
      if (response.status === 429) {
        // The one before has not quite ended yet.
        round -= 1;
        continue;
      }
      expect(response.status, response.ok ? '' : await response.text()).toBe(200);
      await response.body!.getReader().read();
      stop.abort();
    }
    const running = async () =>
      (
        await parts.deps.engine.rows<{ n: string }>({
          text: "SELECT count() AS n FROM system.processes WHERE query LIKE '%yyyyyyyy%' AND query NOT LIKE '%processes%'",
        })
      )[0]!.n;
    while ((await running()) !== '0');
    let last = await ask('SELECT 1', 'json');
    while (last.status === 429) last = await ask('SELECT 1', 'json');
    expect(last.status).toBe(200);
  });

  it('more questions at a time than may wait for places are told to come later, the others wait their turn', async () => {
    const replies = await Promise.all(
      Array.from({ length: 40 }, () => ask('SELECT count() FROM numbers AS a, numbers AS b', 'json')),
    );
    const statuses = replies.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(32);
    expect(statuses).toContain(429);
    expect(statuses.filter((status) => status !== 200).every((status) => status === 429)).toBe(true);
  });
});
