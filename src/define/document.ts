/**
 * The JSON documents of definitions, as they go over HTTP (`PUT /v1/streams/NAME`, `PUT /v1/rollups/NAME`).
 * The same schemas check them and describe them in the OpenAPI document; what one value must know of
 * another (is `eventId` a field?) is checked in parse-stream.ts and parse-rollup.ts.
 */
import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import { PLAIN_KINDS } from './kinds.ts';
import { FIELD_NAME, FIELD_NAME_RULE, hint, NAME, NAME_RULE } from './names.ts';

/** An object without unknown keys; its message holds one line for each unknown key. */
export const strict = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `is not known here${hint(key, Object.keys(shape))}`).join('\n')
        : undefined,
  });

const DURATION = /^\d{1,12}(ms|s|m|h|d|w|y)$/;

export const duration = (least: string, most: string, description: string) =>
  z
    .string()
    .regex(DURATION, 'is not a duration; write a whole number and a unit (ms, s, m, h, d, w, y): 10m')
    .refine(
      (text) => {
        if (!DURATION.test(text)) return true;
        const ms = parseDuration(text);
        return ms !== undefined && ms >= parseDuration(least)! && ms <= parseDuration(most)!;
      },
      { error: `must lie between ${least} and ${most}` },
    )
    .describe(`${description} A duration between ${least} and ${most}, for example 10m.`);

const stringParameters = {
  maxLength: z
    .int()
    .min(1)
    .max(2 ** 24)
    .optional(),
};
const decimalParameters = { precision: z.int().min(1).max(38), scale: z.int().min(0).max(38) };
const enumParameters = { values: z.array(z.string().min(1).max(255)).min(1).max(1_000) };
/** Earlier names that one field may have. */
const ALIASES_MAX = 8;
const optional = {
  optional: z.boolean().optional(),
  alias: z
    .array(z.string().regex(FIELD_NAME, FIELD_NAME_RULE))
    .min(1)
    .max(ALIASES_MAX)
    .optional()
    .describe('Earlier names of the field: senders and questions may go on using them.'),
  retired: z
    .literal(true)
    .optional()
    .describe('No longer taken from events; what is stored stays and can be asked for.'),
  column: z
    .string()
    .regex(FIELD_NAME, FIELD_NAME_RULE)
    .optional()
    .describe('The column of a renamed field. The server tells it; nobody needs to write it.'),
};

const PLAIN_ELEMENTS = PLAIN_KINDS.filter((kind) => kind !== 'json') as Exclude<
  (typeof PLAIN_KINDS)[number],
  'json'
>[];

/** What an array may hold. */
const elementDocument = z.union([
  z.enum(PLAIN_ELEMENTS),
  strict({ type: z.enum(PLAIN_ELEMENTS).exclude(['string']) }),
  strict({ type: z.literal('string'), ...stringParameters }),
  strict({ type: z.literal('decimal'), ...decimalParameters }),
  strict({ type: z.literal('enum'), ...enumParameters }),
]);
export type ElementDocument = z.infer<typeof elementDocument>;

/** The long form of a field, by what its `type` says. */
export const fieldObjects = {
  plain: strict({ type: z.enum(PLAIN_KINDS).exclude(['string']), ...optional }),
  string: strict({ type: z.literal('string'), ...stringParameters, ...optional }),
  decimal: strict({ type: z.literal('decimal'), ...decimalParameters, ...optional }),
  enum: strict({ type: z.literal('enum'), ...enumParameters, ...optional }),
  array: strict({ type: z.literal('array'), of: elementDocument, ...optional }),
};

/** `"uint64"`, or `{"type": "string", "maxLength": 5000, "optional": true}`. */
export const fieldDocument = z.union([
  z.enum(PLAIN_KINDS),
  fieldObjects.plain,
  fieldObjects.string,
  fieldObjects.decimal,
  fieldObjects.enum,
  fieldObjects.array,
]);
export type FieldDocument = z.infer<typeof fieldDocument>;

export const definitionName = z.string().regex(NAME, NAME_RULE);
export const fieldName = z.string().regex(FIELD_NAME, FIELD_NAME_RULE);

export const FIELDS_MAX = 500;
export const DIMENSIONS_MAX = 16;
export const MEASURES_MAX = 32;

export const dedupeObject = strict({
  within: duration('1s', '30d', 'Horizon within which an event id is stored once.'),
  rate: z
    .number()
    .positive()
    .max(1e9)
    .optional()
    .describe(
      'Ids per second that are expected over the horizon. Declared, it is checked against the memory for ids.',
    ),
});

export const streamDocument = strict({
  fields: z.record(fieldName, fieldDocument).describe(`1 to ${FIELDS_MAX} fields by name.`),
  eventId: z
    .string()
    .optional()
    .describe(
      'Required field that identifies the event. Absent: the `_id` it carries, else a generated one.',
    ),
  eventTime: z
    .string()
    .optional()
    .describe("Required timestamp field of the event's own time. Absent: time of arrival."),
  partitionBy: z.string().optional().describe('Field whose equal values keep their order.'),
  partitions: z.int().min(1).max(64).optional().describe('Partitions of the log. Default 1.'),
  dedupe: z
    .union([z.literal(false), dedupeObject])
    .optional()
    .describe('Default {"within": "24h"}; false switches it off.'),
  lateness: strict({
    allowed: duration('0s', '10y', 'How far behind the newest event time an event may be.'),
    then: z.enum(['count', 'quarantine', 'drop']).optional().describe('Default count.'),
  }).optional(),
  future: duration('1s', '10y', "How far ahead of its arrival an event's time may lie.")
    .optional()
    .describe('Default 1d. An event further ahead is quarantined.'),
  watermark: strict({
    delay: duration('0s', '30d', 'How far out of order events come.').optional().describe('Default 0s.'),
    idle: z
      .union([z.literal(false), duration('1s', '30d', 'How long a source is silent before it is idle.')])
      .optional()
      .describe(
        'Default 1m: after so long without a record a source does not hold the watermark back, and with all of them silent it follows the clock. false: never.',
      ),
    source: z
      .string()
      .optional()
      .describe('Field whose values each have a watermark; the least counts. Absent: the partitions.'),
  })
    .optional()
    .describe('How the watermark follows the events: it tells up to when they are complete.'),
  retention: strict({
    log: duration('1m', '50y', 'How long the log is kept.').optional(),
    hot: duration('1m', '50y', 'How long events stay in the store.').optional(),
    cold: duration('1m', '50y', 'How long events stay in the lake.').optional(),
    quarantine: duration('1m', '50y', 'How long quarantined records stay. Default: as hot.').optional(),
  }).optional(),
  resultOf: z
    .enum(['window', 'trigger'])
    .optional()
    .describe('Set by the server alone: the stream holds the results of the window or trigger of its name.'),
}).describe('A stream: what its events look like and how they are treated.');
export type StreamDocument = z.infer<typeof streamDocument>;

export const measureDocument = z
  .string()
  .describe('count(), sum(f), avg(f), min(f), max(f), unique(f), quantile(f) or top(f,k).');

export const hotDuration = duration('0s', '30d', 'How far back its buckets are always kept in memory.');

export const rollupDocument = strict({
  from: definitionName.describe('The stream that is rolled up.'),
  by: z.array(z.string()).max(DIMENSIONS_MAX).optional().describe('Dimensions: fields of the stream.'),
  every: z.string().describe('Width of the finest bucket: 1s, 10s, 1m, 5m, 10m, 15m, 1h or 1d.'),
  measures: z.record(fieldName, measureDocument).describe(`1 to ${MEASURES_MAX} measures by name.`),
  hot: z
    .union([z.literal(false), hotDuration])
    .optional()
    .describe('Absent: two hours, in memory while questions come; false or 0s: never.'),
}).describe('A rollup: numbers of a stream that are kept ready, by time bucket and dimensions.');
export type RollupDocument = z.infer<typeof rollupDocument>;
