import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkEvent } from '../../src/collect/index.ts';
import type { StreamDefinition } from '../../src/define/model.ts';
import { classifierOf } from '../../src/ingest/classify.ts';
import { type Engine, openChdb } from '../../src/store/index.ts';
import { field, streamOf } from './helpers.ts';

const STREAM = streamOf(
  [
    field('id', { kind: 'string' }),
    field('b', { kind: 'bool' }, true),
    field('i', { kind: 'int32' }, true),
    field('l', { kind: 'int64' }, true),
    field('ul', { kind: 'uint64' }, true),
    field('f', { kind: 'float64' }, true),
    field('d', { kind: 'decimal', precision: 8, scale: 2 }, true),
    field('frac', { kind: 'decimal', precision: 3, scale: 3 }, true),
    field('wide', { kind: 'decimal', precision: 38, scale: 0 }, true),
    field('s', { kind: 'string', maxLength: 3 }, true),
    field('e', { kind: 'enum', values: ['red', '7'] }, true),
    field('at', { kind: 'timestamp' }, true),
    field('u', { kind: 'uuid' }, true),
    field('ip', { kind: 'ip' }, true),
    field('j', { kind: 'json' }, true),
    field('t', { kind: 'array', of: { kind: 'string' } }, true),
    field('n', { kind: 'array', of: { kind: 'int64' } }, true),
  ],
  { eventId: 'id' },
);

const NUMBERS = [
  '0',
  '-0',
  '7',
  '-7',
  '1.0',
  '1.5',
  '1e3',
  '1e-3',
  '2147483647',
  '2147483648',
  '-2147483648',
  '-2147483649',
  '9007199254740993',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '-9223372036854775809',
  '18446744073709551615',
  '18446744073709551616',
  '1e19',
  '1e300',
  '1e400',
  '-1e400',
  '123456.78',
  '1234567.8',
  '123456.789',
  '0.10',
  '0.1234',
  '1700000000',
  '9999999999',
  '10000000000',
  '1700000000000',
  '1700000000000.5',
  '-2208988800000',
  '-2208988800001',
  '10413791999999',
  '10413792000000',
];
const TEXTS = [
  '',
  ' ',
  'true',
  'false',
  'TRUE',
  'null',
  'NaN',
  'nan',
  'Infinity',
  '-inf',
  '+7',
  '007',
  '-',
  '.',
  '.5',
  '5.',
  '7 ',
  ' 7',
  '0x10',
  '1_000',
  '1,5',
  'red',
  'blue',
  'abc',
  'abcd',
  'äöü',
  '😀😀😀',
  '😀😀😀😀',
  '123456.780',
  '-000123456.78',
  '99999999999999999999999999999999999999',
  '999999999999999999999999999999999999999',
  '2024-06-01',
  '2024-06-01T10:00',
  '2024-06-01 10:00:00',
  '2024-06-01T10:00:00Z',
  '2024-06-01T10:00:00.123456Z',
  '2024-06-01T10:00:00+02:00',
  '2024-06-01T10:00:00-0330',
  '2024-06-01t10:00:00z',
  '2024-06-01T24:00:00Z',
  '2024-06-01T10:60:00Z',
  '2024-06-01T10:00:60Z',
  '2024-02-29',
  '2023-02-29',
  '2024-02-30T00:00:00Z',
  '2024-04-31',
  '2024-13-01',
  '2024-00-10',
  '2024-01-00',
  '0001-01-01',
  '1899-12-31T23:59:59Z',
  '1900-01-01',
  '2299-12-31T23:59:59.999Z',
  '2300-01-01',
  '9999-12-31',
  '24-06-01',
  '01.06.2024',
  'yesterday',
  '2024-06-01T10',
  '61f0c404-5cb3-11e7-907b-a6006ad3dba0',
  '61F0C4045CB311E7907BA6006AD3DBA0',
  '61f0c404',
  'g1f0c404-5cb3-11e7-907b-a6006ad3dba0',
  '10.0.0.1',
  '10.0.0.256',
  '10.0.0',
  '::1',
  '2001:db8::8a2e:370:7334',
  'fe80::1%eth0',
  '::ffff:1.2.3.4',
  'host',
];
const OTHERS = [
  'true',
  'false',
  'null',
  '{}',
  '{"a":1}',
  '[]',
  '["a"]',
  '[1]',
  '["1"]',
  '[null]',
  '["a",null]',
  '[1.5]',
  '["a",1]',
  '[9223372036854775808]',
  '[true]',
  '[[]]',
  '[{}]',
];
const VALUES = [...NUMBERS, ...[...TEXTS, ...NUMBERS].map((text) => JSON.stringify(text)), ...OTHERS];

let directory: string;
let engine: Engine;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-door-'));
  engine = openChdb({ directory: join(directory, 'store') });
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

async function classify(lines: readonly string[], stream: StreamDefinition): Promise<string[]> {
  const path = join(directory, 'lines');
  await writeFile(path, `${lines.join('\n')}\n`);
  const classifier = classifierOf(stream);
  const offset = classifier.columns.indexOf('_offset') + 1;
  const rows = await engine.rows<{ code: number }>({
    text: `SELECT tupleElement(row, ${classifier.columns.length + 1}) AS code FROM (SELECT tuple(*) AS row FROM (${classifier.select(path)})) ORDER BY tupleElement(row, ${offset})`,
    params: {
      partition: 0,
      from: 0n,
      starts: [0n],
      received: [BigInt(Date.UTC(2024, 5, 1))],
      idHigh: [1n],
      idLow: [0x8000000000000000n],
      watermark: -(2n ** 53n),
    },
  });
  return rows.map(({ code }) => {
    const reason = classifier.reasons.find((one) => one.code === code);
    return reason === undefined ? 'taken' : `${reason.field}: ${reason.reason}`;
  });
}

const door = (line: string, stream: StreamDefinition): string => {
  const [mistake] = checkEvent(stream, JSON.parse(line), Buffer.from(line));
  return mistake === undefined ? 'taken' : `${mistake.field}: ${mistake.reason}`;
};

describe('the door and the engine', () => {
  it('agree about every value of every type', async () => {
    const fields = STREAM.fields.filter(({ name }) => name !== 'id').map(({ name }) => name);
    const cases = fields.flatMap((name) =>
      VALUES.map((value) => ({ name, value, line: `{"id":"1","${name}":${value}}` })),
    );
    const engineSays = await classify(
      cases.map(({ line }) => line),
      STREAM,
    );
    const disagreements = cases
      .map(({ name, value, line }, index) => ({
        name,
        value,
        door: door(line, STREAM),
        engine: engineSays[index],
      }))
      .filter((one) => (one.door === 'taken') !== (one.engine === 'taken'));
    expect(disagreements).toEqual([]);
    expect(engineSays).toHaveLength(cases.length);
  });

  it('agree about missing fields and ids', async () => {
    const required = streamOf(
      STREAM.fields.map((one) => ({ ...one, optional: false })),
      { eventId: 'id' },
    );
    const unnamed = streamOf([field('name', { kind: 'string' }, true)]);
    const whole =
      '{"id":"1","b":true,"i":1,"l":1,"ul":1,"f":1,"d":1,"frac":0,"wide":1,"s":"","e":"7","at":"2024-01-01","u":"61f0c404-5cb3-11e7-907b-a6006ad3dba0","ip":"::1","j":{},"t":[],"n":[]}';
    const without = required.fields.flatMap(({ name }) => {
      const { [name]: _, ...rest } = JSON.parse(whole);
      return [JSON.stringify(rest), JSON.stringify({ ...rest, [name]: null })];
    });
    const ids = ['""', '"x"', '1', 'null', '{}', `"${'é'.repeat(256)}"`, `"${'é'.repeat(257)}"`];
    for (const [stream, lines] of [
      [required, [whole, ...without, whole.replace('"id":"1"', '"id":""')]],
      [unnamed, ids.map((id) => `{"_id":${id}}`)],
    ] as const) {
      const engineSays = await classify(lines, stream);
      expect(lines.map((line) => door(line, stream))).toEqual(engineSays);
    }
  });
});
