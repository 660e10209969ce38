import { formatDuration } from '../base/duration.ts';
import type { FieldDocument, RollupDocument, StreamDocument } from './document.ts';
import { formatMeasure } from './measures.ts';
import type { Field, FieldType, RollupDefinition, StreamDefinition, WatermarkPolicy } from './model.ts';
import { type ObjectDefinition, objectToDocument } from './objects/kinds.ts';

/**
 * The canonical JSON document of a definition. Defaults are written out, so that a document which is kept
 * never changes its meaning. `parseStream(d.name, toDocument(d))` equals `d`.
 */
export function toDocument(definition: StreamDefinition): StreamDocument;
export function toDocument(definition: RollupDefinition): RollupDocument;
export function toDocument(
  definition: StreamDefinition | RollupDefinition | ObjectDefinition,
): Readonly<Record<string, unknown>>;
export function toDocument(
  definition: StreamDefinition | RollupDefinition | ObjectDefinition,
): Readonly<Record<string, unknown>> {
  if (definition.kind === 'stream') return streamToDocument(definition);
  if (definition.kind === 'rollup') return rollupToDocument(definition);
  return objectToDocument(definition);
}

function streamToDocument(stream: StreamDefinition): StreamDocument {
  const { lateness, retention } = stream;
  const kept = {
    ...(retention.logMs === undefined ? {} : { log: formatDuration(retention.logMs) }),
    ...(retention.hotMs === undefined ? {} : { hot: formatDuration(retention.hotMs) }),
    ...(retention.coldMs === undefined ? {} : { cold: formatDuration(retention.coldMs) }),
    ...(retention.quarantineMs === undefined ? {} : { quarantine: formatDuration(retention.quarantineMs) }),
  };
  return {
    fields: Object.fromEntries(stream.fields.map((field) => [field.name, fieldToDocument(field)])),
    ...(stream.eventId === undefined ? {} : { eventId: stream.eventId }),
    ...(stream.eventTime === undefined ? {} : { eventTime: stream.eventTime }),
    ...(stream.partitionBy === undefined ? {} : { partitionBy: stream.partitionBy }),
    partitions: stream.partitions,
    dedupe: dedupeToDocument(stream),
    ...(lateness === undefined
      ? {}
      : { lateness: { allowed: formatDuration(lateness.allowedMs), then: lateness.then } }),
    future: formatDuration(stream.futureAllowedMs),
    ...(stream.watermark === undefined ? {} : { watermark: watermarkToDocument(stream.watermark) }),
    ...(Object.keys(kept).length === 0 ? {} : { retention: kept }),
    ...(stream.resultOf === undefined ? {} : { resultOf: stream.resultOf }),
  };
}

function watermarkToDocument({ delayMs, idleMs, source }: WatermarkPolicy) {
  return {
    delay: formatDuration(delayMs),
    idle: idleMs === undefined ? (false as const) : formatDuration(idleMs),
    ...(source === undefined ? {} : { source }),
  };
}

function dedupeToDocument({ dedupeWithinMs, dedupeRatePerSecond }: StreamDefinition) {
  if (dedupeWithinMs === 0) return false;
  const within = formatDuration(dedupeWithinMs);
  return dedupeRatePerSecond === undefined ? { within } : { within, rate: dedupeRatePerSecond };
}

function rollupToDocument(rollup: RollupDefinition): RollupDocument {
  return {
    from: rollup.from,
    by: [...rollup.by],
    every: formatDuration(rollup.everySeconds * 1_000),
    measures: Object.fromEntries(rollup.measures.map(({ name, measure }) => [name, formatMeasure(measure)])),
    ...(rollup.hotMs === undefined ? {} : { hot: rollup.hotMs === 0 ? false : formatDuration(rollup.hotMs) }),
  };
}

export function fieldToDocument(field: Field): FieldDocument {
  const type = typeToDocument(field.type);
  const { optional, aliases, retired, column } = field;
  const more = {
    // A retired field is optional whether it says so or not.
    ...(optional && !retired ? { optional } : {}),
    ...(aliases === undefined ? {} : { alias: [...aliases] }),
    ...(retired === undefined ? {} : { retired }),
    ...(column === undefined ? {} : { column }),
  };
  if (Object.keys(more).length === 0) return type;
  return (typeof type === 'string' ? { type, ...more } : { ...type, ...more }) as FieldDocument;
}

function typeToDocument(type: FieldType): FieldDocument {
  switch (type.kind) {
    case 'string':
      return type.maxLength === undefined ? 'string' : { type: 'string', maxLength: type.maxLength };
    case 'decimal':
      return { type: 'decimal', precision: type.precision, scale: type.scale };
    case 'enum':
      return { type: 'enum', values: [...type.values] };
    case 'array':
      return { type: 'array', of: typeToDocument(type.of) } as FieldDocument;
    default:
      return type.kind;
  }
}
