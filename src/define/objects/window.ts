/** Windows: numbers of a stream over stretches of time, told once the watermark has passed their end. */
import { z } from 'zod';
import type { StreamName } from '../../base/brand.ts';
import { formatDuration, parseDuration } from '../../base/duration.ts';
import { DIMENSIONS_MAX, definitionName, duration, fieldName, measureDocument, strict } from '../document.ts';
import { formatMeasure } from '../measures.ts';
import type { Mistakes } from '../mistakes.ts';
import type { Measure } from '../model.ts';
import { parseDimensions, parseMeasures } from '../parse-rollup.ts';
import type { KindOf } from './kinds.ts';
import { isTimeZone, readObject } from './reading.ts';

/** Which clock the windows follow: the events', that of their arrival in the log, or that of their evaluation. */
export type WindowTime = 'event' | 'ingestion' | 'processing';

export type WindowShape =
  | { readonly kind: 'tumbling'; readonly sizeMs: number }
  /** `sizeMs` is a multiple of `slideMs`: each event is in `sizeMs / slideMs` windows. */
  | { readonly kind: 'sliding'; readonly sizeMs: number; readonly slideMs: number }
  /** Ends when no event came for `gapMs`; cut when it has lasted `maxMs`. */
  | { readonly kind: 'session'; readonly gapMs: number; readonly maxMs: number };

export interface WindowDefinition {
  readonly kind: 'window';
  readonly name: string;
  readonly from: StreamName;
  readonly shape: WindowShape;
  readonly time: WindowTime;
  /** Keys: fields of the stream, each combination has windows of its own; then columns of tables, by their names in results. */
  readonly by: readonly string[];
  /** How those columns are written (`channels.country`), by their names in results (`channels_country`). */
  readonly joined: Readonly<Record<string, string>>;
  /** Condition in SQL over the fields of one event; undefined: all events count. */
  readonly where: string | undefined;
  readonly measures: readonly { readonly name: string; readonly measure: Measure }[];
  /** IANA zone in which windows of a day and more begin at midnight. */
  readonly timeZone: string;
  /** Where counting of windows begins, in ms after 1970-01-01 00:00 of the zone. */
  readonly originMs: number;
  /** How often results of windows that are still open are told; undefined: only when they close. */
  readonly earlyMs: number | undefined;
  /** How long results are kept; undefined: for ever. */
  readonly retentionMs: number | undefined;
}

const WINDOW_LEAST = '1s';
const WINDOW_MOST = '366d';
const SLIDES_MAX = 1_000;
const length = (description: string) => duration(WINDOW_LEAST, WINDOW_MOST, description);

export const windowDocument = strict({
  from: definitionName.describe('The stream whose events are counted.'),
  tumbling: strict({ size: length('Length of each window; they follow one another.') }).optional(),
  sliding: strict({
    size: length('Length of each window.'),
    slide: length('How far apart they begin; divides the size.'),
  }).optional(),
  session: strict({
    gap: length('Silence that ends a session.'),
    max: length('A session that lasts longer is cut. Default 1d.').optional(),
  }).optional(),
  time: z.enum(['event', 'ingestion', 'processing']).optional().describe('Default event.'),
  by: z
    .array(z.string())
    .max(DIMENSIONS_MAX)
    .optional()
    .describe('Keys: fields of the stream, and columns of dimension tables (`channels.country`).'),
  where: z
    .string()
    .min(1)
    .max(4_000)
    .optional()
    .describe('A condition in SQL over the fields of one event, for example `value > valueThreshold`.'),
  measures: z.record(fieldName, measureDocument).describe('1 to 32 measures by name.'),
  tz: z.string().optional().describe('IANA zone in which windows of a day and more begin. Default UTC.'),
  origin: duration('0s', '366d', 'How long after midnight of 1970-01-01 counting begins.').optional(),
  early: duration('1s', '1d', 'How often results of open windows are told.').optional(),
  retention: duration('1h', '50y', 'How long results are kept.').optional(),
}).describe('A window: numbers of a stream over stretches of time, told once they are complete.');

export const windowKind: KindOf<WindowDefinition> = {
  schema: windowDocument,

  parse: (name, document, known) =>
    readObject('window', name, document, windowDocument, (read, mistakes): WindowDefinition => {
      const stream = known.stream(read.from);
      if (!stream) mistakes.add(['from'], `there is no stream "${read.from}"; define it first`);
      const shapes = (['tumbling', 'sliding', 'session'] as const).filter((one) => read[one] !== undefined);
      if (shapes.length !== 1)
        mistakes.add(
          [shapes[1] ?? 'tumbling'],
          'a window is one of tumbling, sliding or session: name exactly one',
        );
      const shape = shapeOf(read);
      if (shape.kind === 'sliding' && shape.sizeMs % shape.slideMs !== 0)
        mistakes.add(['sliding', 'slide'], 'must divide the size');
      if (shape.kind === 'sliding' && shape.sizeMs / shape.slideMs > SLIDES_MAX)
        mistakes.add(['sliding', 'slide'], `an event would be in more than ${SLIDES_MAX} windows`);
      if (shape.kind === 'session' && shape.maxMs < shape.gapMs)
        mistakes.add(['session', 'max'], 'must not be shorter than the gap');
      if (shape.kind === 'session' && read.early !== undefined)
        mistakes.add(['early'], 'sessions are told when they close; leave it out');
      if (shape.kind === 'session' && read.time === 'processing')
        mistakes.add(['time'], 'sessions follow the time of events or of their arrival');
      const timeZone = read.tz ?? 'UTC';
      if (!isTimeZone(timeZone)) mistakes.add(['tz'], `"${timeZone}" is no IANA zone; write Europe/Berlin`);
      const isColumn = (one: string) => one.includes('.');
      const fields = parseDimensions(
        read.by?.filter((one) => !isColumn(one)),
        stream,
        mistakes,
      );
      const joined = parseColumns(read.by?.filter(isColumn) ?? [], mistakes);
      const by = [...fields, ...Object.keys(joined)];
      if (shape.kind === 'session' && Object.keys(joined).length > 0)
        mistakes.add(
          ['by'],
          'sessions go by fields of the stream: a column of a table may change within one',
        );
      for (const own of Object.keys(joined))
        if (stream?.fields.some((field) => field.name === own))
          mistakes.add(['by'], `"${own}" is a field of the stream and the name of ${joined[own]} in results`);
      return {
        kind: 'window',
        name,
        from: read.from as StreamName,
        shape,
        time: read.time ?? 'event',
        by,
        joined,
        where: read.where,
        measures: parseMeasures(read.measures, stream, by, mistakes),
        timeZone,
        originMs: read.origin === undefined ? 0 : parseDuration(read.origin)!,
        earlyMs: read.early === undefined ? undefined : parseDuration(read.early),
        retentionMs: read.retention === undefined ? undefined : parseDuration(read.retention),
      };
    }),

  toDocument: ({ shape, ...window }) => ({
    from: window.from,
    ...(shape.kind === 'tumbling' ? { tumbling: { size: formatDuration(shape.sizeMs) } } : {}),
    ...(shape.kind === 'sliding'
      ? { sliding: { size: formatDuration(shape.sizeMs), slide: formatDuration(shape.slideMs) } }
      : {}),
    ...(shape.kind === 'session'
      ? { session: { gap: formatDuration(shape.gapMs), max: formatDuration(shape.maxMs) } }
      : {}),
    time: window.time,
    by: window.by.map((name) => window.joined[name] ?? name),
    ...(window.where === undefined ? {} : { where: window.where }),
    measures: Object.fromEntries(window.measures.map(({ name, measure }) => [name, formatMeasure(measure)])),
    tz: window.timeZone,
    ...(window.originMs === 0 ? {} : { origin: formatDuration(window.originMs) }),
    ...(window.earlyMs === undefined ? {} : { early: formatDuration(window.earlyMs) }),
    ...(window.retentionMs === undefined ? {} : { retention: formatDuration(window.retentionMs) }),
  }),

  references: ({ from, joined }) => [
    { kind: 'stream', name: from },
    ...[...new Set(Object.values(joined).map(tableNamed))].map((name) => ({ kind: 'table', name }) as const),
  ],
};

/** `channels.country`, or `channels(shown_on).country` where the field is not called as the table's key. */
const COLUMN = /^(\w+)(?:\((\w+)\))?\.(\w+)$/;
const tableNamed = (written: string): string => COLUMN.exec(written)![1]!;

function parseColumns(written: readonly string[], mistakes: Mistakes): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const one of written) {
    const [, table, via, column] = COLUMN.exec(one.replaceAll(/\s+/g, '')) ?? [];
    if (table === undefined) {
      mistakes.add(
        ['by'],
        `"${one}" is no column of a table; write channels.country, or channels(FIELD).country`,
      );
      continue;
    }
    const name = [table, via, column].filter((part) => part !== undefined).join('_');
    if (found[name] !== undefined) mistakes.add(['by'], `names "${one}" twice`);
    found[name] = one.replaceAll(/\s+/g, '');
  }
  return found;
}

const DAY_MS = 86_400_000;

function shapeOf({
  tumbling,
  sliding,
  session,
}: Pick<z.infer<typeof windowDocument>, 'tumbling' | 'sliding' | 'session'>): WindowShape {
  const ms = (text: string): number => parseDuration(text)!;
  if (sliding) return { kind: 'sliding', sizeMs: ms(sliding.size), slideMs: ms(sliding.slide) };
  if (session)
    return {
      kind: 'session',
      gapMs: ms(session.gap),
      maxMs: session.max === undefined ? DAY_MS : ms(session.max),
    };
  return { kind: 'tumbling', sizeMs: tumbling === undefined ? 1_000 : ms(tumbling.size) };
}

/** The fields of a result that hold a measure: a quantile has one for each level. */
export const numbersOf = ({ name, measure }: WindowDefinition['measures'][number]): readonly string[] =>
  measure.fn === 'quantile' ? ['p50', 'p90', 'p95', 'p99'].map((level) => `${name}_${level}`) : [name];

/** The fields of a result that are the window's own: its keys and its numbers. */
export const resultFields = ({ by, measures }: WindowDefinition): readonly string[] => [
  ...by,
  ...measures.flatMap(numbersOf),
];
