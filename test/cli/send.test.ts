import { appendFile, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Session } from 'chdb';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { jsonElements } from '../../src/cli/json-elements.ts';
import { lineBatches } from '../../src/cli/line-batches.ts';
import { rewrite } from '../../src/cli/splice.ts';
import { CountingServer } from '../client/counting-server.ts';
import { millrace, type RunOptions } from './capture.ts';

let server: CountingServer;
let url: string;
let directory: string;

beforeEach(async () => {
  server = new CountingServer();
  url = await server.start();
  directory = await mkdtemp(join(tmpdir(), 'millrace-send-test-'));
});
afterEach(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const send = (args: readonly string[], options: RunOptions = {}) =>
  millrace(['send', 's', ...args], {
    cwd: directory,
    environment: { MILLRACE_URL: url, MILLRACE_KEY: 'k' },
    ...options,
  });
const file = (name: string) => join(directory, name);
const lines = (count: number) => Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join('');
const stored = () => [...server.events.values()].map((line) => JSON.parse(line) as Record<string, unknown>);
const states = async () => (await readdir(directory)).filter((name) => name.includes('millrace-send'));

describe('an interrupted file', () => {
  it('goes on where it stopped and counts nothing twice, wherever the answer was lost', async () => {
    await writeFile(file('a.ndjson'), lines(20));
    const whole = { batches: 5 };
    for (let boundary = 0; boundary < whole.batches; boundary += 1) {
      server.events.clear();
      server.posts = 0;
      // The server takes this batch and its answer is lost; then the server refuses until the next run.
      server.fault = (_, post) =>
        post === boundary ? 'lose' : post > boundary ? { status: 400 } : undefined;
      const broken = await send(['a.ndjson', '--batch-events', '4', '--concurrency', '2']);
      expect(broken.code).toBe(1);
      expect(server.events.size).toBeGreaterThanOrEqual(boundary * 4);
      server.fault = () => undefined;
      const rest = await send(['a.ndjson', '--batch-events', '3', '--json']);
      expect(rest.code, rest.err).toBe(0);
      const report = JSON.parse(rest.out) as Record<string, number>;
      expect(report).toMatchObject({ accepted: 20, rejected: 0, records: 20 });
      expect(report.resumedAt).toBeLessThanOrEqual(boundary * 4);
      expect(server.events.size).toBe(20);
      expect(await states()).toEqual([]);
    }
  });

  it('stops at a signal, tells where, and goes on from there', async () => {
    await writeFile(file('a.ndjson'), lines(50));
    let interrupt = () => {};
    server.fault = (_, post) => {
      if (post === 4) interrupt();
      return undefined;
    };
    const stopped = await send(['a.ndjson', '--batch-events', '5', '--concurrency', '1'], {
      withSignal: (signal) => {
        interrupt = signal;
      },
    });
    expect(stopped.code).toBe(1);
    expect(stopped.err).toContain('The same command goes on with record 20 of a.ndjson.');
    expect(stopped.err).toContain('interrupted');
    const rest = await send(['a.ndjson', '--batch-events', '5']);
    expect(rest.out).toContain('50 accepted, 0 rejected (went on with record 20)');
    expect(server.events.size).toBe(50);
  });

  it('that has changed since is not mixed up with what was sent', async () => {
    await writeFile(file('a.ndjson'), lines(20));
    server.fault = (_, post) => (post === 2 ? { status: 400 } : undefined);
    await send(['a.ndjson', '--batch-events', '4', '--concurrency', '1']);
    server.fault = () => undefined;
    await appendFile(file('a.ndjson'), '{"n":20}\n');
    const refused = await send(['a.ndjson']);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('has changed since record 8 was sent');
    const other = await send(['a.ndjson', '--state', file('other.json')]);
    expect(other.code).toBe(0);
    expect((await send(['a.ndjson', '--restart'])).out).toContain('21 accepted');
  });

  it('is not taken up in silence where the stream remembers no ids', async () => {
    server.streams = [{ name: 's', version: 1, document: { dedupe: false }, state: {} }];
    await writeFile(file('a.ndjson'), lines(20));
    server.fault = (_, post) => (post === 2 ? { status: 400 } : undefined);
    await send(['a.ndjson', '--batch-events', '4', '--concurrency', '1']);
    server.fault = () => undefined;
    const rest = await send(['a.ndjson']);
    expect(rest).toMatchObject({ code: 0, err: expect.stringContaining('may be counted twice') });
  });

  it('sent a second time has the same ids', async () => {
    await writeFile(file('a.ndjson'), lines(9));
    await send(['a.ndjson']);
    await send(['a.ndjson', '--restart']);
    expect(server.events.size).toBe(9);
    expect(server.duplicates).toBe(9);
  });

  it('waits when the server says so', async () => {
    await writeFile(file('a.ndjson'), lines(4));
    server.fault = (seen, post) =>
      seen.method === 'POST' && post === 0
        ? { status: 429, headers: { 'retry-after': '0' }, body: '{"detail":"Too much is waiting."}' }
        : undefined;
    const ran = await send(['a.ndjson']);
    expect(ran.code, ran.err).toBe(0);
    expect(ran.err).toContain('Too much is waiting. Trying again');
  });
});

describe('records', () => {
  it('keep their bytes, their own ids and every digit', async () => {
    const text =
      `\ufeff`.slice(1) +
      `{"u":18446744073709551615,"d":1.10,"s":"\\u00e9é"}\n\n  \r\n{"_id":"own","x":{"_id":1}}\r\n{ }\n{"x":"\\"_id\\""}`;
    await writeFile(file('a.ndjson'), text);
    expect((await send(['a.ndjson'])).out).toContain('4 accepted');
    const bodies = server.seen.filter((one) => one.method === 'POST').map((one) => one.body);
    const plain = bodies.join('').replace(/"_id":"[0-9a-f]{32}-(\d)"/g, '"_id":"#$1"');
    expect(plain).toBe(
      '{"_id":"#0","u":18446744073709551615,"d":1.10,"s":"\\u00e9é"}\n{"_id":"own","x":{"_id":1}}\r\n{"_id":"#2" }\n{"_id":"#3","x":"\\"_id\\""}\n',
    );
  });

  it('go as they are when the stream names what identifies them', async () => {
    server.streams = [
      { name: 's', version: 1, document: { eventId: 'n', fields: { n: 'uint64' } }, state: {} },
    ];
    server.idField = 'n';
    await writeFile(file('a.ndjson'), lines(3));
    await send(['a.ndjson']);
    expect(server.seen.at(-1)!.body).toBe(lines(3));
    await send(['a.ndjson', '--row-number', 'row', '--rename', 'n=m']);
    expect(server.seen.at(-1)!.body).toBe('{"row":0,"m":0}\n{"row":1,"m":1}\n{"row":2,"m":2}\n');
  });

  it('that are rejected are told by their number, and the command fails', async () => {
    await writeFile(file('a.ndjson'), `${lines(3)}nonsense\n${lines(1)}`);
    const ran = await send(['a.ndjson', '--batch-events', '2']);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('4 accepted, 1 rejected');
    expect(ran.err).toContain('record 3: is not a JSON object');
  });

  it('come from standard input and from compressed files', async () => {
    expect((await send([], { stdin: lines(7) })).out).toContain('standard input → s: 7 accepted');
    expect((await send(['-'], { stdin: lines(7) })).code).toBe(0);
    expect(server.events.size).toBe(14);
    await writeFile(file('a.ndjson.gz'), gzipSync(lines(30)));
    server.fault = (_, post) => (post === 4 ? { status: 400 } : undefined);
    await send(['a.ndjson.gz', '--batch-events', '10', '--concurrency', '1']);
    server.fault = () => undefined;
    expect((await send(['a.ndjson.gz'])).out).toContain('30 accepted, 0 rejected (went on with record 20)');
    expect(server.events.size).toBe(44);
  });

  it('that come slowly do not wait for company', async () => {
    async function* slow() {
      yield Buffer.from('{"n":1}\n{"n":');
      await new Promise(() => {});
    }
    const linger = { ms: 1, clock: systemClock };
    const limits = { batchBytes: 1e6, batchEvents: 1e6, firstRecord: 0, firstByte: 0, skip: 0, linger };
    const { value } = await lineBatches(slow(), {}, limits).next();
    expect(Buffer.from(value!.body).toString()).toBe('{"n":1}\n');
  });

  it('of a JSON document are the elements of its array, laid out as it likes', async () => {
    await writeFile(
      file('a.json'),
      JSON.stringify([{ a: 1 }, { a: [1, { b: '],' }] }, { a: '\n' }], null, 2),
    );
    expect((await send(['a.json'])).out).toContain('3 accepted');
    expect(stored().map(({ a }) => a)).toEqual([1, [1, { b: '],' }], '\n']);
  });
});

describe('tables', () => {
  let path: string;
  const make = (format: string, name: string) => {
    const session = new Session();
    path = file(name);
    session.query(
      `SELECT number AS row, toUInt64(toInt128(18446744073709551615) - number) AS big, toInt64(-9223372036854775808) AS low,
        if(number % 2 = 0, NULL, concat('t', toString(number))) AS text, toDateTime64('2024-03-01 10:00:00.5', 3, 'UTC') + number AS at,
        toDecimal128('1234567890123456.78', 2) AS price, toDate('2024-02-29') AS day, number / 4 AS quarter
      FROM numbers(1000) INTO OUTFILE '${path}' FORMAT ${format}`,
    );
    session.close();
  };

  it.each([
    ['Parquet', 't.parquet'],
    ['Arrow', 't.arrow'],
    ['ArrowStream', 't.arrows'],
  ])('%s arrives whole, in order, with every digit', async (format, name) => {
    make(format, name);
    const ran = await send([name, '--rename', 'text=words', '--row-number', 'n', '--batch-events', '300']);
    expect(ran.code, ran.err).toBe(0);
    expect(ran.out).toContain('1 000 accepted');
    const rows = [...server.events.values()];
    expect(rows.length).toBe(1_000);
    expect(rows[3]).toContain('"n":3,');
    expect(rows[3]).toContain(
      '"row":3,"big":18446744073709551612,"low":-9223372036854775808,"words":"t3","at":"2024-03-01T10:00:03.500Z","price":"1234567890123456.78"',
    );
    expect(rows[3]).toMatch(/"day":"2024-02-29(T00:00:00\.000Z)?","quarter":0\.75\}$/);
  });

  it('a Parquet file goes on where it stopped', async () => {
    make('Parquet', 'odd *{a,b}? name.parquet');
    server.fault = (_, post) => (post === 3 ? 'lose' : post > 3 ? { status: 400 } : undefined);
    expect(
      (await send(['odd *{a,b}? name.parquet', '--batch-events', '100', '--concurrency', '2'])).code,
    ).toBe(1);
    server.fault = () => undefined;
    const rest = await send(['odd *{a,b}? name.parquet', '--json']);
    expect(JSON.parse(rest.out)).toMatchObject({ accepted: 1_000, resumedAt: 300 });
    expect(server.events.size).toBe(1_000);
    expect(new Set(stored().map(({ row }) => row)).size).toBe(1_000);
  });

  it('cells of CSV are texts; empty ones are absent, but for required texts; JSON is taken as it is', async () => {
    server.streams = [
      {
        name: 's',
        version: 1,
        document: {
          fields: { id: 'uint64', name: 'string', note: { type: 'string', optional: true }, tags: 'json' },
        },
        state: {},
      },
    ];
    await writeFile(
      file('t.csv'),
      'id,label,note,tags\n007,"a ""b""\nc",x,"[1, {""a"":2}]"\n18446744073709551615,,,plain\n',
    );
    const ran = await send(['t.csv', '--rename', 'label=name']);
    expect(ran.code, ran.err).toBe(0);
    expect(stored().map(({ _id, ...rest }) => rest)).toEqual([
      { id: '007', name: 'a "b"\nc', note: 'x', tags: [1, { a: 2 }] },
      { id: '18446744073709551615', name: '', note: null, tags: 'plain' },
    ]);
  });

  it('from standard input are read as well', async () => {
    const ran = await send(['-', '--format', 'csv'], { stdin: 'a,b\n1,2\n3,4\n' });
    expect(ran.out).toContain('2 accepted');
  });

  it('that cannot be read say why', async () => {
    await writeFile(file('t.parquet'), 'not a parquet file');
    const ran = await send(['t.parquet']);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/t\.parquet cannot be read: .*/);
    expect(ran.err).not.toContain(' at ');
  });
});

describe('wrong calls', () => {
  it.each([
    [['missing.ndjson'], 1, 'there is no file'],
    [['data.xyz'], 2, 'does not tell its format'],
    [['a.ndjson', '--rename', 'x'], 2, 'use FROM=TO'],
    [['a.ndjson', '--row-number', 'a-b'], 2, 'is not a name of a field'],
    [['-', '--state', 'x'], 2, 'cannot be resumed'],
  ])('%j', async (args, code, words) => {
    await writeFile(file('a.ndjson'), lines(1));
    const ran = await send(args);
    expect(ran.err).toContain(words);
    expect(ran.code).toBe(code);
  });

  it('an unknown stream is said before anything is sent', async () => {
    server.streams = [{ name: 'other', version: 1, document: {}, state: {} }];
    await writeFile(file('a.ndjson'), lines(1));
    const ran = await send(['a.ndjson']);
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.err).toContain('there is no stream "s"; there are other');
    expect(server.posts).toBe(0);
  });

  it('a link to a file is as good as the file', async () => {
    await writeFile(file('a.ndjson'), lines(2));
    await symlink(file('a.ndjson'), file('b.ndjson'));
    expect((await send(['b.ndjson'])).out).toContain('2 accepted');
  });
});

describe('texts of records', () => {
  const event = fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 });

  it('are changed only where they are renamed', () => {
    fc.assert(
      fc.property(event, fc.constantFrom(undefined, 2), (value, indent) => {
        const text = JSON.stringify({ before: 1, ...value, after: { before: 2 } }, null, indent);
        const renamed = rewrite(text, new Map([['before', 'then']]), new Set());
        const { before, ...rest } = JSON.parse(text) as Record<string, unknown>;
        expect(JSON.parse(renamed)).toEqual({ ...rest, then: before });
        expect(rewrite(text, new Map(), new Set())).toBe(text);
      }),
    );
  });

  it('of a JSON document are the same however its bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 5 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        async (events, array, size) => {
          const text = array
            ? JSON.stringify(events, null, 1)
            : events.map((one) => JSON.stringify(one, null, 1)).join(' ');
          const bytes = Buffer.from(text);
          async function* cut() {
            for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
          }
          const out: Buffer[] = [];
          for await (const chunk of jsonElements(cut())) out.push(chunk);
          const found = Buffer.concat(out)
            .toString()
            .split('\n')
            .filter((line) => line !== '');
          expect(found.map((line) => JSON.parse(line) as unknown)).toEqual(
            JSON.parse(JSON.stringify(events)),
          );
        },
      ),
    );
  });
});
