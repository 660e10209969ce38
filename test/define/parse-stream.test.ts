import { describe, expect, it } from 'vitest';
import { parseStream } from '../../src/define/index.ts';
import { mistakesOf } from './issues.ts';

const DETECTIONS = {
  fields: {
    detection_oid: 'uint64',
    item_name: { type: 'string', maxLength: 5000 },
    timestamp_detected: 'timestamp',
  },
  eventId: 'detection_oid',
  eventTime: 'timestamp_detected',
  dedupe: { within: '24h' },
  lateness: { allowed: '10m', then: 'count' },
};

const mistakes = (document: object) =>
  mistakesOf(() => parseStream('s', { fields: { id: 'uint64', at: 'timestamp' }, ...document }));
const ofField = (field: unknown) => mistakes({ fields: { f: field } });

describe('parseStream', () => {
  it('reads the document of the documentation', () => {
    expect(parseStream('detections', DETECTIONS)).toEqual({
      kind: 'stream',
      name: 'detections',
      fields: [
        { name: 'detection_oid', type: { kind: 'uint64' }, optional: false },
        { name: 'item_name', type: { kind: 'string', maxLength: 5000 }, optional: false },
        { name: 'timestamp_detected', type: { kind: 'timestamp' }, optional: false },
      ],
      eventId: 'detection_oid',
      eventTime: 'timestamp_detected',
      partitionBy: undefined,
      partitions: 1,
      dedupeWithinMs: 86_400_000,
      lateness: { allowedMs: 600_000, then: 'count' },
      futureAllowedMs: 86_400_000,
      retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
    });
  });

  it('deduplicates for a day unless told otherwise, with or without an event id', () => {
    expect(parseStream('s', { fields: { a: 'json' } }).dedupeWithinMs).toBe(86_400_000);
    expect(parseStream('s', { fields: { a: 'json' }, dedupe: false }).dedupeWithinMs).toBe(0);
    expect(parseStream('s', { fields: { a: 'json' }, dedupe: { within: '30d' } }).dedupeWithinMs).toBe(
      30 * 86_400_000,
    );
  });

  it('reports every mistake at once, each with its path', () => {
    expect(
      mistakesOf(() =>
        parseStream('Bad', {
          fields: {
            _x: 'int',
            b: { type: 'string', maxLength: '5', optinal: true },
            d: { type: 'array', of: { type: 'strng' } },
            h: { type: 'uint64', optional: true },
          },
          eventId: 'h',
          evenTime: 'x',
          partitionBy: 'B1',
          partitions: 65,
          dedupe: { within: '31d' },
          lateness: { then: 'x' },
          future: 'soon',
          retention: { hot: '1h', warm: '2d' },
        }),
      ).sort(),
    ).toMatchInlineSnapshot(`
      [
        "dedupe.within: must lie between 1s and 30d",
        "evenTime: is not known here; did you mean "eventTime"?",
        "eventId: "h" is optional; every event needs it, so make the field required",
        "fields._x: must start with a letter and hold at most 63 letters, digits and _ (a leading _ is reserved)",
        "fields._x: there is no type "int"; did you mean "int64"?",
        "fields.b.maxLength: expected number, received string",
        "fields.b.optinal: is not known here; did you mean "optional"?",
        "fields.d.of.type: there is no type "strng"; did you mean "string"?",
        "future: is not a duration; write a whole number and a unit (ms, s, m, h, d, w, y): 10m",
        "lateness.allowed: is missing; string expected",
        "lateness.then: expected one of "count"|"quarantine"|"drop"",
        "name: must start with a lower-case letter and hold at most 63 lower-case letters, digits and _",
        "partitionBy: there is no field "B1"; did you mean "b"?",
        "partitions: Too big: expected number to be <=64",
        "retention.warm: is not known here; use one of log, hot, cold, quarantine",
      ]
    `);
  });

  it('knows what other systems call a type', () => {
    expect(ofField('boolean')).toEqual(['fields.f: there is no type "boolean"; did you mean "bool"?']);
    expect(ofField({ type: 'datetime' })).toEqual([
      'fields.f.type: there is no type "datetime"; did you mean "timestamp"?',
    ]);
    expect(ofField('decimal')).toEqual([
      'fields.f: decimal needs more; write {"type": "decimal", "precision": 18, "scale": 2}',
    ]);
  });

  it('holds the parameters of types to their bounds', () => {
    expect(ofField({ type: 'decimal', precision: 3, scale: 4 })).toHaveLength(1);
    expect(ofField({ type: 'decimal', precision: 39, scale: -1 })).toHaveLength(2);
    expect(ofField({ type: 'decimal', precision: 38, scale: 38 })).toEqual([]);
    expect(ofField({ type: 'enum', values: [] })).toHaveLength(1);
    expect(ofField({ type: 'enum', values: ['a', 'a'] })).toEqual(['fields.f.values: names a value twice']);
    expect(ofField({ type: 'string', maxLength: 0 })).toHaveLength(1);
    expect(ofField({ type: 'string', maxLength: 1.5 })).toHaveLength(1);
    expect(ofField({ type: 'uint64', maxLength: 5 })).toHaveLength(1);
    expect(ofField({ type: 'array', of: { type: 'decimal', precision: 3, scale: 4 } })).toHaveLength(1);
  });

  it('lets an array hold scalars that are always there', () => {
    expect(ofField({ type: 'array', of: 'uuid', optional: true })).toEqual([]);
    expect(ofField({ type: 'array', of: { type: 'enum', values: ['a'] } })).toEqual([]);
    expect(ofField({ type: 'array' })).toEqual(['fields.f.of: is missing; name the type of the elements']);
    expect(ofField({ type: 'array', of: 'json' })).toHaveLength(1);
    expect(ofField({ type: 'array', of: { type: 'array', of: 'int32' } })).toHaveLength(1);
    expect(ofField({ type: 'array', of: { type: 'int32', optional: true } })).toHaveLength(1);
  });

  it('takes as event id only what every event has and compares as text', () => {
    for (const type of ['string', 'int32', 'int64', 'uint64', 'uuid']) {
      expect(mistakes({ fields: { id: type }, eventId: 'id' })).toEqual([]);
    }
    for (const type of ['float64', 'json', 'timestamp', { type: 'uuid', optional: true }]) {
      expect(mistakes({ fields: { id: type }, eventId: 'id' })).toHaveLength(1);
    }
    expect(mistakes({ eventId: 'idd' })).toEqual(['eventId: there is no field "idd"; did you mean "id"?']);
  });

  it('takes as event time only a timestamp that every event has', () => {
    expect(mistakes({ eventTime: 'at' })).toEqual([]);
    expect(mistakes({ eventTime: 'id' })).toEqual(['eventTime: "id" is uint64; it must be timestamp']);
    expect(mistakes({ fields: { at: { type: 'timestamp', optional: true } }, eventTime: 'at' })).toHaveLength(
      1,
    );
  });

  it('does not complain about the role of a field whose own mistake it has reported', () => {
    expect(mistakes({ fields: { id: 'uint46' }, eventId: 'id' })).toEqual([
      'fields.id: there is no type "uint46"; did you mean "uint64"?',
    ]);
  });

  it('keeps events at least as long as it must know them again', () => {
    expect(mistakes({ retention: { hot: '1h' } })).toHaveLength(1);
    expect(mistakes({ retention: { hot: '1h' }, dedupe: { within: '1h' } })).toEqual([]);
    expect(mistakes({ retention: { hot: '1h' }, dedupe: false })).toEqual([]);
  });

  it('keeps the names that every object has out of harm', () => {
    const stream = parseStream('s', JSON.parse('{"fields":{"constructor":"uuid","toString":"json"}}'));
    expect(stream.fields.map((field) => field.name)).toEqual(['constructor', 'toString']);
    expect(
      mistakesOf(() => parseStream('s', JSON.parse('{"__proto__":1,"fields":{"__proto__":"int64"}}'))).length,
    ).toBe(2);
    expect(mistakes({ fields: { a: { type: 'constructor' } } })).toHaveLength(1);
    expect(mistakes({ fields: { a: 'hasOwnProperty' } })).toHaveLength(1);
  });

  it('bounds the number of fields', () => {
    const fields = Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`f${index}`, 'int32']));
    expect(mistakes({ fields })).toEqual(['fields: a stream has at most 500 fields, this one has 501']);
    expect(mistakes({ fields: {} })).toEqual(['fields: a stream needs at least one field']);
  });

  it('says what it got instead of a document', () => {
    expect(mistakesOf(() => parseStream('s', null))).toEqual(['document: expected object, received null']);
    expect(mistakesOf(() => parseStream('s', []))).toEqual(['document: expected object, received an array']);
    expect(mistakesOf(() => parseStream('s', {}))).toEqual(['fields: is missing; object expected']);
  });
});
