/** The official client for Node, reading: each of its ways of asking, against a real server of ours. */
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient as create,
  TupleParam,
} from '@clickhouse/client';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import { readSettings } from '../../src/config.ts';
import { startWorld, type World } from './clickhouse-world.ts';
import { KEY, startServer } from './support.ts';

/** What is refused here is refused on purpose. */
const createClient: typeof create = (options) =>
  create({ log: { level: ClickHouseLogLevel.OFF }, ...options });

let world: World;
let client: ClickHouseClient;
beforeAll(async () => {
  world = await startWorld();
  client = createClient({ url: world.url, username: 'default', password: KEY, database: 'default' });
});
afterAll(async () => {
  await client.close();
  await world.close();
});

const QUERY = 'SELECT page, seconds FROM visits ORDER BY page';
const OBJECTS = [
  { page: '/a', seconds: 1 },
  { page: '/b', seconds: 2 },
];

describe('the official client', () => {
  it('pings, with its key and without', async () => {
    expect(await client.ping()).toEqual({ success: true });
    expect(await client.ping({ select: true })).toEqual({ success: true });
    const stranger = createClient({ url: world.url, username: 'default', password: 'a-wrong-key' });
    expect(await stranger.ping({ select: true })).toMatchObject({ success: false });
    await expect(stranger.query({ query: 'SELECT 1' })).rejects.toMatchObject({
      code: '516',
      type: 'AUTHENTICATION_FAILED',
    });
    await stranger.close();
  });

  it('reads every format of single documents', async () => {
    const of = async (format: 'JSON' | 'JSONStrings' | 'JSONCompact' | 'JSONCompactStrings') =>
      (await client.query({ query: QUERY, format })).json<unknown>();
    const meta = [
      { name: 'page', type: 'String' },
      { name: 'seconds', type: 'Float64' },
    ];
    expect(await of('JSON')).toMatchObject({ meta, data: OBJECTS, rows: 2 });
    expect(await of('JSONStrings')).toMatchObject({
      meta,
      data: [
        { page: '/a', seconds: '1' },
        { page: '/b', seconds: '2' },
      ],
    });
    expect(await of('JSONCompact')).toMatchObject({
      meta,
      data: [
        ['/a', 1],
        ['/b', 2],
      ],
    });
    expect(await of('JSONCompactStrings')).toMatchObject({
      meta,
      data: [
        ['/a', '1'],
        ['/b', '2'],
      ],
    });
    const byName = await client.query({
      query: QUERY,
      format: 'JSONObjectEachRow',
    });
    expect(Object.values(await byName.json())).toEqual(OBJECTS);
    const columns = await client.query({ query: QUERY, format: 'JSONColumnsWithMetadata' });
    expect(await columns.json()).toMatchObject({ meta, data: { page: ['/a', '/b'], seconds: [1, 2] } });
  });

  it('reads every format of rows, whole and as a stream', async () => {
    const expected: readonly (readonly [string, readonly unknown[]])[] = [
      ['JSONEachRow', OBJECTS],
      [
        'JSONStringsEachRow',
        [
          { page: '/a', seconds: '1' },
          { page: '/b', seconds: '2' },
        ],
      ],
      [
        'JSONCompactEachRow',
        [
          ['/a', 1],
          ['/b', 2],
        ],
      ],
      [
        'JSONCompactStringsEachRow',
        [
          ['/a', '1'],
          ['/b', '2'],
        ],
      ],
      [
        'JSONCompactEachRowWithNames',
        [
          ['page', 'seconds'],
          ['/a', 1],
          ['/b', 2],
        ],
      ],
      [
        'JSONCompactEachRowWithNamesAndTypes',
        [
          ['page', 'seconds'],
          ['String', 'Float64'],
          ['/a', 1],
          ['/b', 2],
        ],
      ],
      [
        'JSONCompactStringsEachRowWithNames',
        [
          ['page', 'seconds'],
          ['/a', '1'],
          ['/b', '2'],
        ],
      ],
    ];
    for (const [format, rows] of expected) {
      const whole = await client.query({ query: QUERY, format: format as 'JSONEachRow' });
      expect(await whole.json(), format).toEqual(rows);
      const stream = (await client.query({ query: QUERY, format: format as 'JSONEachRow' })).stream();
      const streamed: unknown[] = [];
      for await (const chunk of stream) for (const row of chunk) streamed.push(row.json());
      expect(streamed, format).toEqual(rows);
    }
    for (const [format, text] of [
      ['CSV', '"/a",1\n"/b",2\n'],
      ['CSVWithNames', '"page","seconds"\n"/a",1\n"/b",2\n'],
      ['CSVWithNamesAndTypes', '"page","seconds"\n"String","Float64"\n"/a",1\n"/b",2\n'],
      ['TabSeparated', '/a\t1\n/b\t2\n'],
      ['TabSeparatedRaw', '/a\t1\n/b\t2\n'],
      ['TabSeparatedWithNames', 'page\tseconds\n/a\t1\n/b\t2\n'],
      ['TabSeparatedWithNamesAndTypes', 'page\tseconds\nString\tFloat64\n/a\t1\n/b\t2\n'],
      ['CustomSeparatedWithNames', 'page\tseconds\n/a\t1\n/b\t2\n'],
    ] as const) {
      expect(await (await client.query({ query: QUERY, format })).text(), format).toBe(text);
    }
  });

  it('reads rows with progress', async () => {
    const reply = await client.query({ query: QUERY, format: 'JSONEachRowWithProgress' });
    const rows = (await reply.json()) as readonly object[];
    expect(rows.filter((row) => 'row' in row)).toEqual(OBJECTS.map((row) => ({ row })));
  });

  it('reads Arrow and Parquet as bytes', async () => {
    const arrow = await client.exec({ query: `${QUERY} FORMAT ArrowStream` });
    const table = tableFromIPC(await bytesOf(arrow.stream));
    expect(table.toArray().map((row) => ({ ...row.toJSON() }))).toEqual(OBJECTS);
    const parquet = await client.exec({ query: `${QUERY} FORMAT Parquet` });
    const bytes = await bytesOf(parquet.stream);
    expect([bytes.subarray(0, 4).toString(), bytes.subarray(-4).toString()]).toEqual(['PAR1', 'PAR1']);
  });

  it('binds values of many types', async () => {
    const reply = await client.query({
      query: `SELECT {s:String} AS s, {i:Int64} AS i, {f:Float64} AS f, {b:Bool} AS b, {n:Nullable(String)} AS n,
                {a:Array(String)} AS a, {u:Array(UInt64)} AS u, {t:Tuple(String, UInt8)} AS t, {m:Map(String, UInt8)} AS m,
                toString({d:DateTime64(3, 'UTC')}) AS d, {e:Date} AS e, {x:UUID} AS x, {p:Decimal(18, 4)} AS p`,
      format: 'JSONEachRow',
      query_params: {
        s: "it's \\ a\ttab\nand `more` {x:Identifier} \u{1f600}",
        i: -5,
        f: 1.5,
        b: true,
        n: null,
        a: ["quo'te", 'back\\slash', 'new\nline'],
        u: [1, 2],
        t: new TupleParam(['x', 7]),
        m: { k: 1 },
        d: '2024-05-06 07:08:09.123',
        e: '2024-05-06',
        x: '61f0c404-5cb3-11e7-907b-a6006ad3dba0',
        p: '12.5',
      },
    });
    const [row] = await reply.json<Record<string, unknown>>();
    expect(row).toMatchObject({
      s: "it's \\ a\ttab\nand `more` {x:Identifier} \u{1f600}",
      f: 1.5,
      b: true,
      n: null,
      a: ["quo'te", 'back\\slash', 'new\nline'],
      m: { k: 1 },
      d: '2024-05-06 07:08:09.123',
      e: '2024-05-06',
      x: '61f0c404-5cb3-11e7-907b-a6006ad3dba0',
      p: 12.5,
    });
    expect(String(row!.i)).toBe('-5');
    const filtered = await client.query({
      query: 'SELECT page FROM visits WHERE page = {page:String}',
      query_params: { page: '/b' },
      format: 'JSONEachRow',
    });
    expect(await filtered.json()).toEqual([{ page: '/b' }]);
  });

  it('chooses how answers are written, and limits, and is refused the rest', async () => {
    const of = async (clickhouse_settings: Record<string, string | number>) => {
      const reply = await client.query({
        query: "SELECT max(big) AS big, toDateTime64('2024-05-06 07:08:09', 3, 'UTC') AS at FROM visits",
        format: 'JSONEachRow',
        clickhouse_settings,
      });
      return (await reply.text()).trim();
    };
    expect(await of({ output_format_json_quote_64bit_integers: 1 })).toContain(
      '"big":"18446744073709551615"',
    );
    expect(await of({ output_format_json_quote_64bit_integers: 0 })).toContain('"big":18446744073709551615');
    expect(await of({})).toContain('"at":"2024-05-06 07:08:09.000"');
    expect(await of({ date_time_output_format: 'iso' })).toContain('"at":"2024-05-06T07:08:09.000Z"');
    expect(await of({ session_timezone: 'Europe/Berlin', wait_end_of_query: 1 })).toContain('07:08:09');
    await expect(of({ additional_result_filter: 'big > 0' })).rejects.toMatchObject({
      code: '164',
      type: 'READONLY',
    });
    const two = await client.query({
      query: QUERY,
      format: 'JSONEachRow',
      clickhouse_settings: { limit: '1' as never, offset: '1' as never },
    });
    expect(await two.json()).toEqual([{ page: '/b', seconds: 2 }]);
    await expect(
      client.query({ query: QUERY, clickhouse_settings: { max_result_rows: '1' } }),
    ).rejects.toMatchObject({ code: '396' });
  });

  it('is told what is wrong with a question', async () => {
    for (const [query, code, type] of [
      ['SELECT 1 FROM', '62', 'SYNTAX_ERROR'],
      ['SELECT nothing FROM visits', '47', 'UNKNOWN_IDENTIFIER'],
      ['SELECT * FROM nothing', '60', 'UNKNOWN_TABLE'],
      ['SELECT * FROM nowhere.nothing', '81', 'UNKNOWN_DATABASE'],
      ['SELECT {x:UInt8}', '456', 'UNKNOWN_QUERY_PARAMETER'],
      ["SELECT file('/etc/passwd')", '497', 'ACCESS_DENIED'],
      ['SELECT 1 FORMAT Nothing', '73', 'UNKNOWN_FORMAT'],
    ] as const) {
      const failure: unknown = await client.exec({ query }).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failure, query).toBeInstanceOf(ClickHouseError);
      expect([(failure as ClickHouseError).code, (failure as ClickHouseError).type]).toEqual([code, type]);
    }
    const failure = await client.exec({ query: 'SELECT v.nothing FROM default.visits AS v' }).catch(String);
    expect(failure).toContain('v.nothing');
    expect(failure).not.toContain('_relation_');
  });

  it('names its question, and is told what it cost', async () => {
    const reply = await client.query({ query: QUERY, query_id: 'my-question.1', format: 'JSONEachRow' });
    expect(reply.query_id).toBe('my-question.1');
    await reply.text();
    const { summary, response_headers } = await client.command({ query: `${QUERY} FORMAT JSONEachRow` });
    expect(summary).toMatchObject({ result_rows: '2' });
    expect(response_headers).toMatchObject({
      'x-clickhouse-format': 'JSONEachRow',
      'x-clickhouse-server-display-name': 'millrace',
    });
  });

  it('reads compressed answers, and more than one chunk of the engine', async () => {
    const packed = createClient({
      url: world.url,
      username: 'default',
      password: KEY,
      compression: { response: true, request: true },
    });
    const query = `SELECT arrayJoin(range(150000)) AS n, concat('text ', toString(n)) AS t`;
    for (const one of [client, packed]) {
      const reply = await one.query({ query, format: 'JSONCompactEachRowWithNames' });
      let rows = 0;
      for await (const chunk of reply.stream()) rows += chunk.length;
      expect(rows).toBe(150_001);
      const whole = await (await one.query({ query, format: 'JSON' })).json<{ n: number }>();
      expect([whole.rows, Number(whole.data.at(-1)!.n)]).toEqual([150_000, 149_999]);
    }
    await packed.close();
  });

  it('sees an answer that fails in the middle, compressed or not', async () => {
    const { guests } = world.parts.deps;
    const failing = await startServer(world.parts, {
      settings: readSettings({ MILLRACE_PORT: '0', MILLRACE_CLICKHOUSE_PORT: '0' }),
      guests: {
        place: guests.place.bind(guests),
        guest: (tenant, limits) => {
          const guest = guests.guest(tenant, limits);
          return {
            ...guest,
            stream: async function* (statement, format) {
              for await (const chunk of guest.stream(statement, format)) {
                yield chunk;
                throw new MillraceError('query-timeout', 'it took too long');
              }
            },
          };
        },
      },
    });
    for (const response of [false, true]) {
      const asker = createClient({
        url: failing.clickhouseUrl!,
        username: '',
        password: KEY,
        compression: { response },
      });
      const reply = await asker.query({
        query: 'SELECT arrayJoin(range(100000)) AS n, sipHash64(n) AS h',
        format: 'JSONEachRow',
      });
      const failure = await reply.text().then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failure, `compressed: ${response}`).toBeInstanceOf(Error);
      await asker.close();
    }
    const plain = await fetch(
      `${failing.clickhouseUrl}/?query=SELECT+arrayJoin(range(100000))+AS+n,sipHash64(n)`,
      {
        headers: { authorization: `Bearer ${KEY}` },
      },
    );
    const tag = plain.headers.get('x-clickhouse-exception-tag');
    let text = '';
    await expect(async () => {
      for await (const chunk of plain.body!) text += Buffer.from(chunk).toString('utf8');
    }).rejects.toThrow();
    expect(text.slice(-300)).toMatch(
      new RegExp(
        `\\r\\n__exception__\\r\\n${tag}\\r\\nCode: 159\\. DB::Exception: it took too long\\. \\(TIMEOUT_EXCEEDED\\).*\\n\\d+ ${tag}\\r\\n__exception__\\r\\n$`,
      ),
    );
    await failing.close();
  });

  it('goes away in the middle of a question, which ends', async () => {
    const controller = new AbortController();
    const asking = client.query({
      query:
        'SELECT count() FROM (SELECT arrayJoin(range(10000000)) AS a) AS x CROSS JOIN (SELECT arrayJoin(range(10000)) AS b) AS y WHERE cityHash64(a, b) = 1',
      abort_signal: controller.signal,
    });
    controller.abort();
    await expect(asking).rejects.toThrow();
    // Whoever comes next is let in, however many went away before.
    expect(await (await client.query({ query: QUERY, format: 'JSONEachRow' })).json()).toEqual(OBJECTS);
  });

  it('asks at the path beside everything else, too', async () => {
    const beside = createClient({
      url: world.server.url,
      pathname: '/clickhouse',
      username: '',
      password: KEY,
    });
    expect(await (await beside.query({ query: QUERY, format: 'JSONEachRow' })).json()).toEqual(OBJECTS);
    await beside.close();
  });
});

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
