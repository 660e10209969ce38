/** The stream that holds a window's results: its document, and how each value is read from merged states. */
import { formatDuration } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { FieldDocument } from '../define/index.ts';
import {
  columnOf,
  type Field,
  fieldOf,
  type Measure,
  type StreamDefinition,
  type WindowDefinition,
} from '../define/model.ts';
import { quoteIdentifier, type StateColumn, stateColumns } from '../store/index.ts';
import { type KeysOf, keyFields } from './keys.ts';

/**
 * - `final`: told when the watermark passed the window's end
 * - `corrected`: late events changed what was told, or came into a window that was empty
 * - `early`: told while the window was open
 * - `retracted`: no session any more; its events are in another one
 */
export const STATUSES = ['final', 'corrected', 'early', 'retracted'] as const;
export type Status = (typeof STATUSES)[number];

const OWN: Readonly<Record<string, FieldDocument>> = {
  window_start: 'timestamp',
  window_end: 'timestamp',
  window_key: 'string',
  version: 'uint64',
  status: { type: 'enum', values: [...STATUSES] },
  events: 'uint64',
  late: 'uint64',
  watermark: { type: 'timestamp', optional: true },
  step: 'uint64',
  /** Of what was counted: results with the same one, and as many events, are the same. */
  window_digest: 'uint64',
};

/** Levels that a `quantile` measure is told at; the field is the measure's name and the level. */
const LEVELS = [0.5, 0.9, 0.95, 0.99] as const;

export interface ResultField {
  readonly name: string;
  readonly document: FieldDocument;
  /** Expression over the merged states (`m.STATE`) or keys (`k.FIELD`) whose JSON text is the value. */
  readonly value: string;
}

export const keyAlias = (field: Field): string => quoteIdentifier(`k.${field.name}`);
const mergedAlias = (state: string): string => quoteIdentifier(`m.${state}`);

/** The states that the measures need, each once. */
export function windowStates(stream: StreamDefinition, window: WindowDefinition): readonly StateColumn[] {
  const states = new Map<string, StateColumn>();
  for (const { measure } of window.measures)
    for (const state of stateColumns(stream, measure)) states.set(state.name, state);
  return [...states.values()];
}

/** The same for the same values of what is measured, in whatever order they are added up. */
export function digestSql(stream: StreamDefinition, window: WindowDefinition): string {
  const fields = new Set(
    window.measures.flatMap(({ measure }) => ('field' in measure ? [measure.field] : [])),
  );
  if (fields.size === 0) return 'toUInt64(0)';
  const hashes = [...fields].map((name) => {
    const column = quoteIdentifier(columnOf(fieldOf(stream, name)!));
    return `if(isNull(${column}), toUInt64(0), cityHash64(assumeNotNull(${column})))`;
  });
  return `sumWithOverflow(cityHash64(${hashes.join(', ')}))`;
}

/** A state merged to its final value, with its name. */
export function mergedState(state: StateColumn): string {
  if (state.name.startsWith('quantile.'))
    return `quantilesDDMerge(0.01, ${LEVELS.join(', ')})(${quoteIdentifier(state.name)}) AS ${mergedAlias(state.name)}`;
  const merged = state.type.startsWith('AggregateFunction')
    ? `finalizeAggregation(${state.merge})`
    : state.merge;
  return `${merged} AS ${mergedAlias(state.name)}`;
}

/** What a result tells beside its own fields: keys, then measures. */
export function resultFields(of: KeysOf): readonly ResultField[] {
  const { stream, window } = of;
  const keys = keyFields(of).map((field) => ({
    name: field.name,
    document: optional(plainType(field)),
    value: valueText(field, keyAlias(field)),
  }));
  const measures = window.measures.flatMap(({ name, measure }) => measureFields(stream, name, measure));
  return [...keys, ...measures];
}

function measureFields(stream: StreamDefinition, name: string, measure: Measure): readonly ResultField[] {
  if (measure.fn === 'count')
    return name === 'events' ? [] : [{ name, document: optional('uint64'), value: '_events' }];
  const field = fieldOf(stream, measure.field)!;
  const [first = '', second = ''] = stateColumns(stream, measure).map((state) => mergedAlias(state.name));
  switch (measure.fn) {
    case 'sum': {
      const { kind } = field.type;
      if (kind === 'float64') return [{ name, document: optional('float64'), value: finite(first) }];
      const scale = field.type.kind === 'decimal' ? field.type.scale : 0;
      const document = { type: 'decimal', precision: 38, scale, optional: true } as const;
      return [{ name, document, value: `toString(${first})` }];
    }
    case 'avg':
      return [
        {
          name,
          document: optional('float64'),
          value: finite(`if(${second} = 0, NULL, toFloat64(${first}) / ${second})`),
        },
      ];
    case 'min':
    case 'max':
      return [{ name, document: optional(plainType(field)), value: valueText(field, first) }];
    case 'unique':
      return [{ name, document: optional('uint64'), value: `toString(${first})` }];
    case 'quantile':
      return LEVELS.map((level, index) => ({
        name: `${name}_p${level * 100}`,
        document: optional('float64'),
        value: finite(`${first}[${index + 1}]`),
      }));
    case 'top': {
      const sorted = `arraySort(x -> (-toInt64(x.2), x.1), arrayMap(x -> (x.1, x.2), ${first}))`;
      const told = `CAST(arraySlice(${sorted}, 1, ${measure.k}), 'Array(Tuple(value String, count UInt64))')`;
      return [{ name, document: optional('json'), value: told }];
    }
  }
}

const finite = (value: string): string => `if(isFinite(ifNull(${value}, nan)), ${value}, NULL)`;

function optional(document: FieldDocument): FieldDocument {
  return (
    typeof document === 'string' ? { type: document, optional: true } : { ...document, optional: true }
  ) as FieldDocument;
}

/** Wide enough for what the field may become; what it accepts is decided where the event comes in. */
function plainType({ type }: Field): FieldDocument {
  switch (type.kind) {
    case 'int32':
      return 'int64';
    case 'decimal':
      return { type: 'decimal', precision: 38, scale: type.scale };
    case 'string':
    case 'enum':
    case 'json':
    case 'array':
      return 'string';
    default:
      return type.kind;
  }
}

/** Text that a field of this kind takes, with every digit. */
export function valueText({ type }: Field, value: string): string {
  switch (type.kind) {
    case 'bool':
      return value;
    case 'float64':
      return finite(`${value} + 0`);
    case 'timestamp':
      return `concat(replaceOne(toString(${value}), ' ', 'T'), 'Z')`;
    case 'ip':
      return `replaceRegexpOne(toString(${value}), '^::ffff:([0-9]+[.])', '\\\\1')`;
    default:
      return `toString(${value})`;
  }
}

/**
 * The document of the result stream. Fields of results that were published before stay. Fails with `bad-definition`
 * when a name means two things.
 */
export function resultDocument(of: KeysOf): Record<string, unknown> {
  const { window } = of;
  const fields: Record<string, FieldDocument> = { ...OWN };
  const clashes: { path: string; message: string }[] = [];
  for (const { name, document } of resultFields(of)) {
    if (Object.hasOwn(fields, name))
      clashes.push({
        path: window.by.includes(name) ? 'by' : `measures.${name}`,
        message: `results have a field "${name}" already; ${Object.hasOwn(OWN, name) ? 'it is one of their own' : 'it is told twice'}: take another name`,
      });
    fields[name] = document;
  }
  if (clashes.length > 0)
    throw new MillraceError('bad-definition', `the window "${window.name}" is not right`, {
      issues: clashes,
    });
  return {
    fields,
    eventTime: 'window_start',
    future: '10y',
    dedupe: {
      within: formatDuration(
        window.retentionMs === undefined ? DAY_MS : Math.min(DAY_MS, window.retentionMs),
      ),
    },
    ...(window.retentionMs === undefined ? {} : { retention: retentionOf(window.retentionMs) }),
    resultOf: 'window',
  };
}

const DAY_MS = 86_400_000;
const retentionOf = (ms: number) => ({ log: formatDuration(ms), hot: formatDuration(ms) });

/** Columns of the stream under the names of its fields: what a condition may speak of. */
export const renamedColumns = (stream: StreamDefinition): readonly string[] =>
  stream.fields
    .filter((field) => columnOf(field) !== field.name)
    .map((field) => `${quoteIdentifier(columnOf(field))} AS ${quoteIdentifier(field.name)}`);
