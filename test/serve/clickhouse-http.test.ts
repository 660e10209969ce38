/** The interface as it is on the wire: who gets in, what the headers say, formats, compression. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, type World } from './clickhouse-world.ts';
import { KEY } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => {
  await world.close();
});

const QUERY = 'SELECT page, seconds FROM visits ORDER BY page';
const get = (path: string, init: RequestInit = {}) => fetch(world.url + path, init);
const basic = (user: string, key: string) => `Basic ${Buffer.from(`${user}:${key}`).toString('base64')}`;

describe('who gets in', () => {
  it('may say it in each of the ways of ClickHouse', async () => {
    const query = 'query=SELECT+currentUser()';
    for (const [path, headers] of [
      [`/?${query}`, { authorization: basic('default', KEY) }],
      [`/?${query}`, { authorization: basic('', KEY) }],
      [`/?${query}`, { authorization: `Bearer ${KEY}` }],
      [`/?${query}`, { 'x-clickhouse-user': 'default', 'x-clickhouse-key': KEY }],
      [`/?${query}`, { 'x-clickhouse-key': KEY }],
      [`/?${query}&user=default&password=${KEY}`, {}],
    ] as const) {
      const reply = await get(path, { headers });
      expect([reply.status, await reply.text()]).toEqual([200, 'default\n']);
    }
  });

  it('is told of a missing key and of a wrong one, and nothing else', async () => {
    const none = await get('/?query=SELECT+1');
    expect([none.status, none.headers.get('x-clickhouse-exception-code')]).toEqual([401, '194']);
    expect(none.headers.get('www-authenticate')).toContain('Basic');
    for (const [user, key] of [
      ['default', 'a-wrong-key'],
      ['somebody', KEY],
      ['somebody', 'a-wrong-key'],
    ] as const) {
      const wrong = await get('/?query=SELECT+version()', { headers: { authorization: basic(user, key) } });
      const text = await wrong.text();
      expect([wrong.status, wrong.headers.get('x-clickhouse-exception-code')], text).toEqual([403, '516']);
      expect(text).toMatch(/^Code: 516\. DB::Exception: .*\(AUTHENTICATION_FAILED\)\n$/);
      expect(text).not.toContain('version');
    }
  });

  it('may look whether somebody is there without a key', async () => {
    for (const path of ['/ping', '/replicas_status', '/']) {
      const reply = await get(path);
      expect([reply.status, await reply.text()], path).toEqual([200, 'Ok.\n']);
    }
    for (const path of ['/clickhouse/ping', '/clickhouse', '/clickhouse/']) {
      const reply = await fetch(world.server.url + path);
      expect([reply.status, await reply.text()], path).toEqual([200, 'Ok.\n']);
    }
    expect((await get('/play')).status).toBe(404);
    expect((await get('/', { method: 'HEAD' })).status).toBe(200);
    const options = await get('/', { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS, POST']);
    expect((await get('/', { method: 'DELETE' })).status).toBe(405);
    expect((await fetch(`${world.server.url}/clickhousething`)).status).toBe(404);
  });
});

describe('a question', () => {
  it('may stand in the address, in the body, or begin in one and end in the other', async () => {
    const headers = { authorization: `Bearer ${KEY}` };
    const inAddress = await get(`/?query=${encodeURIComponent(QUERY)}`, { headers });
    expect(await inAddress.text()).toBe('/a\t1\n/b\t2\n');
    expect((await world.ask(QUERY)).text).toBe('/a\t1\n/b\t2\n');
    const both = await world.ask('FROM visits ORDER BY page FORMAT CSV', {
      search: { query: 'SELECT page' },
    });
    expect(both.text).toBe('"/a"\n"/b"\n');
    expect((await world.ask('')).text).toMatch(/^Code: 62\. /);
    expect((await world.ask(`SELECT '${'x'.repeat(2 ** 20)}'`)).status).toBe(413);
  });

  it('may come compressed, but not in blocks', async () => {
    const reply = await get('/', {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-encoding': 'gzip' },
      body: gzipSync(QUERY),
    });
    expect(await reply.text()).toBe('/a\t1\n/b\t2\n');
    const blocks = await world.ask(QUERY, { search: { decompress: '1' } });
    expect([blocks.status, blocks.headers.get('x-clickhouse-exception-code')]).toEqual([501, '89']);
  });

  it('names its format in the text, the address or a header, in this order', async () => {
    const of = async (query: string, search = {}, headers = {}) =>
      (await world.ask(query, { search, headers })).headers.get('x-clickhouse-format');
    const header = { 'x-clickhouse-format': 'CSV' };
    expect(await of(QUERY)).toBe('TabSeparated');
    expect(await of(QUERY, {}, header)).toBe('CSV');
    expect(await of(QUERY, { default_format: 'TSVWithNames' }, header)).toBe('TabSeparatedWithNames');
    expect(await of(`${QUERY} FORMAT JSON`, { default_format: 'CSV' })).toBe('JSON');
    expect(await of("SELECT 'a FORMAT JSON' AS format -- FORMAT XML")).toBe('TabSeparated');
  });

  it('is answered with what clients look for in the headers', async () => {
    const reply = await world.ask(QUERY, { search: { query_id: 'mine' } });
    const { headers } = reply;
    expect(headers.get('x-clickhouse-query-id')).toBe('mine');
    expect((await world.ask(QUERY)).headers.get('x-clickhouse-query-id')).toMatch(/^[\da-f-]{36}$/);
    expect(headers.get('x-clickhouse-server-display-name')).toBe('millrace');
    expect(headers.get('x-clickhouse-timezone')).toBeTruthy();
    expect(JSON.parse(headers.get('x-clickhouse-summary')!)).toMatchObject({
      result_rows: '2',
      result_bytes: '10',
    });
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('is answered in every format that is listed, and of a long answer nothing is lost', async () => {
    const formats = (await world.rows('SELECT name FROM system.formats')).map(({ name }) => String(name));
    expect(formats.length).toBeGreaterThan(50);
    for (const format of formats) {
      const reply = await world.ask(`SELECT arrayJoin(range(3)) AS n, toString(n) AS t FORMAT ${format}`);
      expect(reply.status, `${format}: ${reply.text}`).toBe(200);
      if (format !== 'Null') expect(reply.bytes.length, format).toBeGreaterThan(0);
      const empty = await world.ask(`SELECT 1 AS n WHERE 0 FORMAT ${format}`);
      expect(empty.status, `${format}: ${empty.text}`).toBe(200);
    }
    const long = 'SELECT arrayJoin(range(150000)) AS n';
    expect((await world.ask(`${long} FORMAT RowBinaryWithNamesAndTypes`)).bytes.length).toBe(
      10 + 150_000 * 4,
    );
    expect((await world.ask(`${long} FORMAT TSVWithNames`)).text.split('\n')).toHaveLength(150_002);
    expect((await world.ask(`${long} FORMAT JSONCompact`)).text).toContain('"rows":150000');
    expect((await world.ask(`${long} FORMAT XML`)).text).toContain('<rows>150000</rows>');
  });

  it('is answered compressed as the client takes it', async () => {
    const long = 'SELECT arrayJoin(range(200000)) AS n';
    const plain = (await world.ask(long)).text;
    for (const encoding of ['gzip', 'br', 'deflate']) {
      for (const query of [QUERY, long]) {
        const reply = await world.ask(query, {
          search: { enable_http_compression: '1' },
          headers: { 'accept-encoding': encoding },
        });
        expect(reply.headers.get('content-encoding')).toBe(encoding);
        expect(reply.text === (query === long ? plain : '/a\t1\n/b\t2\n')).toBe(true);
      }
    }
    const unasked = await world.ask(QUERY, { headers: { 'accept-encoding': 'gzip' } });
    expect(unasked.headers.get('content-encoding')).toBeNull();
    const blocks = await world.ask(QUERY, { search: { compress: '1' } });
    expect([blocks.bytes[16], blocks.bytes.readUInt32LE(21)]).toEqual([0x82, 10]);
  });
});

describe('Native for clients that name a version of the protocol', () => {
  const TYPES = [
    'toUInt8(n) AS c',
    'toString(n) AS c',
    "toFixedString('abc', 3) AS c",
    "toDateTime64(n, 3, 'UTC') AS c",
    'toDecimal128(n, 4) AS c',
    'toNullable(toString(n)) AS c',
    'range(n) AS c',
    'arrayMap(x -> toString(x), range(n)) AS c',
    "[('a', [n]), ('b', [])] AS c",
    "map('k', n, toString(n), n) AS c",
    "toLowCardinality(if(n % 3 = 0, 'x', 'y')) AS c",
    "CAST(if(n % 3 = 0, NULL, 'y'), 'LowCardinality(Nullable(String))') AS c",
    "[CAST('a', 'LowCardinality(String)')] AS c",
    "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS c",
    "(n, toString(n), toIPv6('::1')) AS c",
  ];
  const ROWS = 5;
  const from = `FROM (SELECT arrayJoin(range(${ROWS})) AS n)`;
  const native = async (columns: readonly string[], version?: number) => {
    const named = columns.map((column, index) =>
      column.replace(/ AS c$/, ` AS c${String.fromCharCode(97 + index)}`),
    );
    const search = version === undefined ? {} : { client_protocol_version: String(version) };
    const reply = await world.ask(`SELECT ${named.join(', ')} ${from} FORMAT Native`, { search });
    expect(reply.status, reply.text).toBe(200);
    return reply.bytes;
  };
  const HEAD = Buffer.from([1, 0, 2, 255, 255, 255, 255, 0]);
  /** Name and type of the one column, then its values. */
  const split = (block: Buffer) => {
    const nameEnd = 3 + block[2]!;
    const typeEnd = nameEnd + 1 + block[nameEnd]!;
    return [block.subarray(2, typeEnd), block.subarray(typeEnd)] as const;
  };

  it('has a head in front of each block and a mark behind each type, whatever the types', async () => {
    for (const column of TYPES) {
      const [names, values] = split(await native([column]));
      expect(
        (await native([column], 54_483)).equals(
          Buffer.concat([HEAD, Buffer.of(1, ROWS), names, Buffer.of(0), values]),
        ),
        column,
      ).toBe(true);
      expect(
        (await native([column], 54_000)).equals(Buffer.concat([HEAD, Buffer.of(1, ROWS), names, values])),
        column,
      ).toBe(true);
    }
  });

  it('ends each column where it ends', async () => {
    const plain = await native(TYPES);
    const marked = await native(TYPES, 54_483);
    expect(marked.length).toBe(plain.length + HEAD.length + TYPES.length);
    for (const [index, column] of TYPES.entries()) {
      const [names, values] = split(await native([column]));
      // The name differs by its last letter.
      const named = Buffer.from(names);
      named[2] = 97 + index;
      expect(marked.includes(Buffer.concat([named, Buffer.of(0), values])), column).toBe(true);
    }
  });
});

describe('what a client names itself', () => {
  it('comes into no header unless it is what it should be, and fails alone', async () => {
    for (const zone of ['UTC\r\nx-evil: 1', 'Europe/Köln-日本', 'a b', 'UTC\0']) {
      for (const path of ['', '/clickhouse/']) {
        const reply = await fetch(
          `${path === '' ? world.url : world.server.url + path}?query=SELECT+1&session_timezone=${encodeURIComponent(zone)}`,
          { headers: { 'x-clickhouse-key': KEY } },
        );
        expect([zone, reply.status]).toEqual([zone, 400]);
        expect([...reply.headers].join()).not.toMatch(/evil/);
      }
    }
    expect((await get('/?query=SELECT+1', { headers: { 'x-clickhouse-key': KEY } })).status).toBe(200);
  });
});
