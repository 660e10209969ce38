import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamName } from '../../src/base/brand.ts';
import type { Field, StreamDefinition } from '../../src/define/model.ts';
import { classifierOf } from '../../src/ingest/classify.ts';
import { type Engine, openChdb } from '../../src/store/index.ts';

const field = (name: string, type: Field['type'], optional = true): Field => ({ name, type, optional });

const RECEIVED = Date.UTC(2024, 5, 1, 12);
const base: StreamDefinition = {
  kind: 'stream',
  name: 'all' as StreamName,
  fields: [
    field('id', { kind: 'uint64' }, false),
    field('at', { kind: 'timestamp' }, false),
    field('b', { kind: 'bool' }),
    field('i', { kind: 'int32' }),
    field('l', { kind: 'int64' }),
    field('f', { kind: 'float64' }),
    field('d', { kind: 'decimal', precision: 8, scale: 2 }),
    field('s', { kind: 'string', maxLength: 5 }),
    field('e', { kind: 'enum', values: ['red', "it's"] }),
    field('u', { kind: 'uuid' }),
    field('ip', { kind: 'ip' }),
    field('j', { kind: 'json' }),
    field('t', { kind: 'array', of: { kind: 'string' } }),
    field('n', { kind: 'array', of: { kind: 'int64' } }),
    field('line', { kind: 'string' }),
    field('select', { kind: 'string' }),
  ],
  eventId: 'id',
  eventTime: 'at',
  partitionBy: undefined,
  partitions: 1,
  dedupeWithinMs: 86_400_000,
  lateness: undefined,
  futureAllowedMs: 86_400_000,
  retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
};

let directory: string;
let engine: Engine;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-classify-'));
  engine = openChdb({ directory: join(directory, 'store') });
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

type Row = Record<string, unknown> & { _why: string };

async function classify(lines: readonly (string | Buffer)[], stream = base): Promise<Row[]> {
  const path = join(directory, 'lines');
  await writeFile(path, Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])));
  const classifier = classifierOf(stream);
  const names = [...classifier.columns, '_code', '_line'];
  const rows = await engine.rows<Row>({
    text: `SELECT ${names.map((name, i) => `tupleElement(row, ${i + 1}) AS \`${name}\``).join(', ')} FROM (SELECT tuple(*) AS row FROM (${classifier.select(path)})) ORDER BY _offset`,
    params: {
      partition: 3,
      from: 100n,
      starts: [0n, 2n],
      received: [BigInt(RECEIVED), BigInt(RECEIVED + 5)],
      idHigh: [1n, 2n],
      idLow: [0x8000000000000000n, 0x8000000000000000n],
    },
  });
  return rows.map((row) => {
    const reason = classifier.reasons.find((one) => one.code === row._code);
    return { ...row, _why: reason ? `${reason.field}: ${reason.reason}` : '' };
  });
}

const why = async (line: string | Buffer, stream?: StreamDefinition): Promise<string> =>
  (await classify([line], stream))[0]!._why;

const ok = '"id":1,"at":"2024-06-01T10:00:00Z"';

describe('the classification of records', () => {
  it('keeps every value of every type', async () => {
    const [row] = await classify([
      `{"id":18446744073709551615,"at":"2024-06-01T12:00:00.123+02:00","b":true,"i":-2147483648,"l":-9223372036854775808,"f":1.5,"d":"123456.78","s":"üäöß€","e":"it's","u":"0190a0b0-0000-7000-8000-000000000001","ip":"10.0.0.1","j":{"a":[1,"x"]},"t":["a","b\\n"],"n":[9007199254740993,"-5"],"line":"l","select":"q","new":{"x":1},"other":"ü\\""}`,
    ]);
    expect(row).toMatchObject({
      _why: '',
      id: '18446744073709551615',
      at: '2024-06-01T10:00:00.123Z',
      b: true,
      i: -2147483648,
      l: '-9223372036854775808',
      f: 1.5,
      d: 123456.78,
      s: 'üäöß€',
      e: "it's",
      ip: '::ffff:10.0.0.1',
      j: '{"a":[1,"x"]}',
      t: ['a', 'b\n'],
      n: ['9007199254740993', '-5'],
      line: 'l',
      select: 'q',
      _id: '18446744073709551615',
      _time: '2024-06-01T10:00:00.123Z',
      _received: '2024-06-01T12:00:00.000Z',
      _partition: 3,
      _offset: '100',
      _extra: '{"new":{"x":1},"other":"ü\\""}',
      _line: '',
    });
  });

  it('tells arrival and offset of each record from its place', async () => {
    const rows = await classify([`{${ok}}`, `{${ok}}`, `{${ok}}`]);
    expect(rows.map((row) => [row._offset, row._received])).toEqual([
      ['100', '2024-06-01T12:00:00.000Z'],
      ['101', '2024-06-01T12:00:00.000Z'],
      ['102', '2024-06-01T12:00:00.005Z'],
    ]);
  });

  it.each<[string | Buffer, string]>([
    ['not json', ': is not valid JSON (or holds a number that no type can keep)'],
    ['', ': is not valid JSON (or holds a number that no type can keep)'],
    [`{${ok},"f":1e400}`, ': is not valid JSON (or holds a number that no type can keep)'],
    [`{${ok},"f":NaN}`, ': is not valid JSON (or holds a number that no type can keep)'],
    [`{${ok}} trailing`, ': is not valid JSON (or holds a number that no type can keep)'],
    [
      `{${ok},"j":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
      ': is not valid JSON (or holds a number that no type can keep)',
    ],
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), ': is not valid UTF-8'],
    ['[1,2]', ': is not a JSON object'],
    ['"text"', ': is not a JSON object'],
    ['{"at":"2024-06-01T10:00:00Z"}', 'id: is missing'],
    ['{"id":null,"at":"2024-06-01T10:00:00Z"}', 'id: is missing'],
    ['{"id":1}', 'at: is missing'],
    ['{"id":-1,"at":"2024-06-01T10:00:00Z"}', 'id: must be a whole number of 64 bits, not negative'],
    ['{"id":1.7,"at":"2024-06-01T10:00:00Z"}', 'id: must be a whole number of 64 bits, not negative'],
    ['{"id":true,"at":"2024-06-01T10:00:00Z"}', 'id: must be a whole number of 64 bits, not negative'],
    ['{"id":{"o":1},"at":"2024-06-01T10:00:00Z"}', 'id: must be a whole number of 64 bits, not negative'],
    ['{"id":1,"at":"garbage"}', 'at: must be an RFC 3339 time or epoch milliseconds'],
    ['{"id":1,"at":"2024-02-30T10:00:00Z"}', 'at: must be an RFC 3339 time or epoch milliseconds'],
    ['{"id":1,"at":"2024-06-01T25:00:00Z"}', 'at: must be an RFC 3339 time or epoch milliseconds'],
    ['{"id":1,"at":1717236000}', 'at: looks like epoch seconds; send milliseconds'],
    ['{"id":1,"at":"0001-01-01T00:00:00Z"}', 'at: must lie between the years 1900 and 2299'],
    ['{"id":1,"at":"9999-12-31T00:00:00Z"}', 'at: must lie between the years 1900 and 2299'],
    ['{"id":1,"at":"2024-06-03T10:00:00Z"}', 'at: lies too far ahead of its arrival'],
    [`{${ok},"b":1}`, 'b: must be true or false'],
    [`{${ok},"i":2147483648}`, 'i: must be a whole number of 32 bits'],
    [`{${ok},"i":"x"}`, 'i: must be a whole number of 32 bits'],
    [`{${ok},"f":"inf"}`, 'f: must be a finite number'],
    [`{${ok},"f":"nan"}`, 'f: must be a finite number'],
    [`{${ok},"d":1.234}`, 'd: must be a decimal of at most 6 digits before the point and 2 after it'],
    [`{${ok},"d":"1234567"}`, 'd: must be a decimal of at most 6 digits before the point and 2 after it'],
    [`{${ok},"s":5}`, 's: must be a text'],
    [`{${ok},"s":{"a":1}}`, 's: must be a text'],
    [`{${ok},"s":"sixsix"}`, 's: is longer than 5 characters'],
    [`{${ok},"e":"blue"}`, "e: must be one of red, it's"],
    [`{${ok},"u":"x"}`, 'u: must be a UUID'],
    [`{${ok},"ip":"300.1.1.1"}`, 'ip: must be an IPv4 or IPv6 address'],
    [`{${ok},"t":"a"}`, 't: must be an array'],
    [`{${ok},"t":["a",1]}`, 't: must hold only texts'],
    [`{${ok},"t":["a",null]}`, 't: must hold only texts'],
    [`{${ok},"n":[1,2.5]}`, 'n: must hold only a whole number of 64 bits'],
  ])('quarantines record %#', async (line, expected) => {
    const [row] = await classify([line]);
    expect(row!._why).toBe(expected);
    expect(Buffer.from(row!._line as string).length > 0 || line === '').toBe(true);
  });

  it('takes numbers as text where JavaScript has no other exact way, and times as milliseconds', async () => {
    expect(
      await why('{"id":"7","at":1717236000000,"b":"false","i":"5","f":"1e3","d":"0.10","n":["1"]}'),
    ).toBe('');
    expect(await why('{"id":1,"at":"1970-01-15"}')).toBe('');
    expect(await why(`{${ok},"s":null,"t":null,"e":null}`)).toBe('');
  });

  it('identifies events by the sender’s _id, else by a generated time-sortable id', async () => {
    const stream: StreamDefinition = { ...base, eventId: undefined };
    const rows = await classify(
      [`{${ok},"_id":"mine"}`, `{${ok}}`, `{${ok}}`, `{${ok},"_id":5}`, `{${ok},"_id":""}`],
      stream,
    );
    expect(rows.map((row) => row._why)).toEqual([
      '',
      '',
      '',
      '_id: must be a text of 1 to 256 characters',
      '_id: must be a text of 1 to 256 characters',
    ]);
    expect(rows.slice(0, 3).map((row) => [row._id, row._id_hash === '0', row._extra])).toEqual([
      ['mine', false, ''],
      ['00000000-0000-0001-8000-000000000001', true, ''],
      ['00000000-0000-0002-8000-000000000000', true, ''],
    ]);
  });
});
