/**
 * What becomes of each record, decided by the engine in one pass over the batch's lines.
 *
 * JSON functions never fail: absent, null, wrong and out-of-range values all become NULL, and coercions are
 * silent. So every field is taken as text and converted by a function that gives NULL for anything that is not
 * wholly a value of the type; text fields also look at the JSON type. A record's `_code` is 0 when it can be
 * stored, else the number of its first reason.
 *
 * A 64-bit integer may come as a JSON string: JavaScript producers have no other exact way to send one.
 */
import { columnOf, type Field, type FieldType, namesOf, type StreamDefinition } from '../define/model.ts';
import { columnType, fieldColumnType, quoteIdentifier, quoteText } from '../store/index.ts';

/** Why a record is not stored. `field` is '' when the whole line is at fault. */
export interface Reason {
  readonly code: number;
  readonly field: string;
  readonly reason: string;
}

/** Said of records that are quarantined only for coming late; the field is that of the event's time. */
export const LATE_REASON = 'came later than the stream allows';

const EARLIEST_MS = Date.UTC(1900, 0, 1);
const LATEST_MS = Date.UTC(2300, 0, 1) - 1;
/** Whole numbers below this, taken as milliseconds, lie before 1970-04-27: they are epoch seconds. */
const SECONDS_BELOW = 10_000_000_000;
const RFC3339 =
  '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])([T ]([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d+)?)?(Z|[+-]\\d\\d:?\\d\\d)?)?$';
export const SENDERS_ID_LENGTH_MAX = 256;

export interface Classifier {
  /** Columns of the staging table beyond the events table's own. */
  readonly reasons: readonly Reason[];
  /** Names of the events table's columns, in the order of `select`. */
  readonly columns: readonly string[];
  /**
   * SELECT over a file of lines, one row per record: the events table's columns, then `_code`, `_line`.
   * Parameters: partition, from, starts, received, idHigh, idLow (see `stage.ts`).
   */
  readonly select: (path: string) => string;
}

interface FieldSql {
  readonly value: string;
  readonly problems: readonly { readonly condition: string; readonly reason: string }[];
}

export function classifierOf(stream: StreamDefinition): Classifier {
  const reasons: Reason[] = [];
  const conditions: string[] = [];
  const reject = (condition: string, field: string, reason: string) => {
    const code = reasons.length + 1;
    reasons.push({ code, field, reason });
    conditions.push(`${condition}, ${code}`);
  };
  reject('NOT _json AND NOT isValidUTF8(line)', '', 'is not valid UTF-8');
  reject('NOT _json', '', 'is not valid JSON (or holds a number that no type can keep)');
  reject("JSONType(line) != 'Object'", '', 'is not a JSON object');

  const withs: string[] = ['isValidJSON(line) AS _json'];
  const own = stream.fields.map((field) => field.name).concat(stream.eventId === undefined ? ['_id'] : []);
  // Earlier names of renamed fields stand behind all others.
  const texts = [...own, ...stream.fields.flatMap((field) => field.aliases ?? [])];
  withs.push(
    `JSONExtract(line, ${quoteText(`Tuple(${texts.map((name) => `${quoteIdentifier(name)} Nullable(String)`).join(', ')})`)}) AS _j`,
  );
  stream.fields.forEach((field, index) => {
    const raw = `_r${index}`;
    if (field.retired) {
      withs.push(`${nothing(field)} AS _v${index}`);
      return;
    }
    const names = namesOf(field);
    const values = names.map((name) => `tupleElement(_j, ${texts.indexOf(name) + 1})`);
    withs.push(`${values.length === 1 ? values[0] : `coalesce(${values.join(', ')})`} AS ${raw}`);
    const sql = fieldSql(field.type, { raw, key: keySql(names, values), typed: `_v${index}` });
    withs.push(`${sql.value} AS _v${index}`);
    if (!field.optional) reject(`isNull(${raw})`, field.name, 'is missing');
    for (const problem of sql.problems) {
      reject(
        field.optional ? `isNotNull(${raw}) AND (${problem.condition})` : problem.condition,
        field.name,
        problem.reason,
      );
    }
  });

  withs.push(
    'toUInt64(_row_number) AS _row',
    'roundDown(_row, {starts:Array(UInt64)}) AS _start',
    'transform(_start, {starts:Array(UInt64)}, {received:Array(Int64)}, toInt64(0)) AS _rms',
  );
  const timeIndex = stream.fields.findIndex((field) => field.name === stream.eventTime);
  withs.push(timeIndex < 0 ? '_rms AS _tms' : `ifNull(toUnixTimestamp64Milli(_v${timeIndex}), 0) AS _tms`);
  if (timeIndex >= 0) {
    reject(`_tms > _rms + ${stream.futureAllowedMs}`, stream.eventTime!, 'lies too far ahead of its arrival');
  }
  const idIndex = stream.fields.findIndex((field) => field.name === stream.eventId);
  if (idIndex >= 0) {
    withs.push(`ifNull(toString(_v${idIndex}), '') AS _eid`, 'true AS _own');
    reject("_eid = ''", stream.eventId!, 'is empty, but it identifies the event');
  } else {
    const sent = `tupleElement(_j, ${stream.fields.length + 1})`;
    const generated =
      'UUIDNumToString(toFixedString(reverse(reinterpretAsFixedString(bitShiftLeft(toUInt128(transform(_start, {starts:Array(UInt64)}, {idHigh:Array(UInt64)}, toUInt64(0))), 64) + toUInt128(toUInt64(transform(_start, {starts:Array(UInt64)}, {idLow:Array(UInt64)}, toUInt64(0)) + (_row - _start))))), 16))';
    withs.push(`isNotNull(${sent}) AS _own`, `if(_own, assumeNotNull(${sent}), ${generated}) AS _eid`);
    reject(
      `_own AND (JSONType(line, '_id') != 'String' OR empty(_eid) OR lengthUTF8(_eid) > ${SENDERS_ID_LENGTH_MAX})`,
      '_id',
      `must be a text of 1 to ${SENDERS_ID_LENGTH_MAX} characters`,
    );
  }

  const known = `[${[...texts.filter((name) => name !== '_id'), '_id'].map(quoteText).join(', ')}]`;
  const extra = `if(hasAll(${known}, JSONExtractKeys(line)), '', concat('{', arrayStringConcat(arrayMap(kv -> concat(toJSONString(kv.1), ':', kv.2), arrayFilter(kv -> NOT has(${known}, kv.1), JSONExtractKeysAndValuesRaw(line))), ','), '}'))`;

  // Which records are late is told after staging, record by record; their lines must still be there.
  const keepsLate = stream.lateness !== undefined && stream.lateness.then !== 'count';
  const columns = [
    ...stream.fields.map(columnOf),
    ...['_id', '_id_hash', '_time', '_received', '_partition', '_offset', '_extra'],
  ];
  const values = [
    ...stream.fields.map((field, index) => storedValue(field, `_v${index}`)),
    '_eid',
    'if(_own, greatest(reinterpretAsUInt128(sipHash128Reference(_eid)), toUInt128(1)), toUInt128(0))',
    "fromUnixTimestamp64Milli(_tms, 'UTC')",
    "fromUnixTimestamp64Milli(_rms, 'UTC')",
    '{partition:UInt16}',
    '{from:UInt64} + _row',
    extra,
    `toUInt16(multiIf(${conditions.join(', ')}, 0)) AS _code`,
    keepsLate ? 'line' : `if(_code = 0, '', line)`,
  ];
  return {
    reasons,
    columns,
    select: (path) =>
      `WITH ${withs.join(',\n  ')}\nSELECT ${values.join(',\n  ')}\nFROM file(${quoteText(path)}, 'LineAsString', 'line String')`,
  };
}

/** What a retired field holds in events that come now. */
const nothing = (field: Field): string =>
  `CAST(${field.type.kind === 'array' ? '[]' : 'NULL'}, ${quoteText(fieldColumnType(field))})`;

/** The first of the names that is there and not null, as the texts were taken. */
const keySql = (names: readonly string[], values: readonly string[]): string =>
  names.length === 1
    ? quoteText(names[0]!)
    : `multiIf(${names
        .slice(1)
        .map(
          (name, index) => `isNull(${values[index]}) AND isNotNull(${values[index + 1]}), ${quoteText(name)}`,
        )
        .join(', ')}, ${quoteText(names[0]!)})`;

const storedValue = (field: Field, value: string): string => {
  if (field.type.kind === 'array') return value;
  return field.optional ? value : `assumeNotNull(${value})`;
};

interface Sent {
  /** Name of the value as text. */
  readonly raw: string;
  /** SQL of the name under which it was sent. */
  readonly key: string;
  /** What `value` is called: written out again, each condition would cost the engine a millisecond of reading it. */
  readonly typed: string;
}

function fieldSql(type: FieldType, { raw, key, typed: name }: Sent): FieldSql {
  const typed = (value: string, reason: string, extra: FieldSql['problems'] = []): FieldSql => ({
    value,
    problems: [{ condition: `isNull(${name})`, reason }, ...extra],
  });
  const jsonType = `JSONType(line, ${key})`;
  const mustBeText = { condition: `${jsonType} != 'String'`, reason: 'must be a text' };
  switch (type.kind) {
    case 'array': {
      const element = scalarSql(type.of, 'x');
      const texts = type.of.kind === 'string' || type.of.kind === 'enum';
      return {
        value: `arrayMap(x -> assumeNotNull(${element.value}), JSONExtract(line, ${key}, 'Array(Nullable(String))'))`,
        problems: [
          { condition: `${jsonType} != 'Array'`, reason: 'must be an array' },
          {
            condition: `arrayExists(x -> isNull(${element.value})${element.guard ? ` OR ${element.guard}` : ''}, JSONExtract(line, ${key}, 'Array(Nullable(String))'))`,
            reason: `must hold only ${element.words}`,
          },
          ...(texts
            ? [
                {
                  condition: `arrayExists(x -> NOT startsWith(x, '"'), JSONExtractArrayRaw(line, ${key}))`,
                  reason: 'must hold only texts',
                },
              ]
            : []),
        ],
      };
    }
    case 'json':
      return { value: `if(isNull(${raw}), NULL, JSONExtractRaw(line, ${key}))`, problems: [] };
    case 'string':
      return {
        value: raw,
        problems: [
          mustBeText,
          ...(type.maxLength === undefined
            ? []
            : [
                {
                  condition: `lengthUTF8(${raw}) > ${type.maxLength}`,
                  reason: `is longer than ${type.maxLength} characters`,
                },
              ]),
        ],
      };
    case 'timestamp': {
      const { value } = scalarSql(type, raw);
      const digits = `match(${raw}, '^\\\\d{1,10}$')`;
      return {
        value,
        problems: [
          {
            condition: `${digits} AND toInt64OrZero(${raw}) < ${SECONDS_BELOW}`,
            reason: 'looks like epoch seconds; send milliseconds',
          },
          { condition: `isNull(${name})`, reason: 'must be an RFC 3339 time or epoch milliseconds' },
          {
            condition: `toUnixTimestamp64Milli(${name}) < ${EARLIEST_MS} OR toUnixTimestamp64Milli(${name}) > ${LATEST_MS}`,
            reason: 'must lie between the years 1900 and 2299',
          },
        ],
      };
    }
    case 'enum': {
      const scalar = scalarSql(type, raw);
      return typed(scalar.value, `must be ${scalar.words}`, [
        { ...mustBeText, reason: `must be ${scalar.words}` },
      ]);
    }
    default: {
      const scalar = scalarSql(type, raw);
      return typed(
        scalar.value,
        `must be ${scalar.words}`,
        scalar.guard ? [{ condition: scalar.guard, reason: `must be ${scalar.words}` }] : [],
      );
    }
  }
}

/** How a text becomes a value of the type, or NULL; `guard` is true for texts that convert but must not. */
function scalarSql(
  type: Exclude<FieldType, { kind: 'array' }> | FieldType,
  text: string,
): { readonly value: string; readonly words: string; readonly guard?: string } {
  switch (type.kind) {
    case 'bool':
      return {
        value: `multiIf(${text} = 'true', true, ${text} = 'false', false, NULL)`,
        words: 'true or false',
      };
    case 'int32':
      return { value: `toInt32OrNull(${text})`, words: 'a whole number of 32 bits' };
    case 'int64':
      return { value: `toInt64OrNull(${text})`, words: 'a whole number of 64 bits' };
    case 'uint64':
      return { value: `toUInt64OrNull(${text})`, words: 'a whole number of 64 bits, not negative' };
    case 'float64':
      return {
        value: `if(isFinite(toFloat64OrNull(${text})), toFloat64OrNull(${text}), NULL)`,
        words: 'a finite number',
      };
    case 'decimal': {
      const whole = type.precision - type.scale;
      const fraction = type.scale === 0 ? '\\\\.0*' : `\\\\.\\\\d{0,${type.scale}}0*`;
      const bareFraction = type.scale === 0 ? '\\\\.0+' : `\\\\.\\\\d{1,${type.scale}}0*`;
      const digits = whole === 0 ? '0+' : `0*\\\\d{1,${whole}}`;
      const shape = `^[+-]?(${digits}(${fraction})?${whole === 0 ? `|${bareFraction}` : ''})$`;
      return {
        value: `if(match(${text}, '${shape}'), CAST(toDecimal128OrNull(${text}, ${type.scale}), 'Nullable(${columnType(type)})'), NULL)`,
        words: `a decimal of at most ${whole} digits before the point and ${type.scale} after it`,
      };
    }
    case 'enum':
      return {
        value: `if(${text} IN (${type.values.map(quoteText).join(', ')}), ${text}, NULL)`,
        words: `one of ${type.values.join(', ')}`,
      };
    case 'timestamp':
      return {
        value: `if(match(${text}, '^(0|-?[1-9]\\\\d{0,14})$'), fromUnixTimestamp64Milli(toInt64OrNull(${text}), 'UTC'), if(match(${text}, ${quoteText(RFC3339)}), parseDateTime64BestEffortOrNull(${text}, 3, 'UTC'), NULL))`,
        words: 'an RFC 3339 time or epoch milliseconds',
      };
    case 'uuid':
      return { value: `toUUIDOrNull(${text})`, words: 'a UUID' };
    case 'ip':
      return { value: `toIPv6OrNull(${text})`, words: 'an IPv4 or IPv6 address' };
    case 'string':
    case 'json':
      return { value: text, words: 'texts' };
    case 'array':
      throw new Error(`arrays of arrays are not kept`);
  }
}
