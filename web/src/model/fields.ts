/** Which fields of a stream can be measured, and which can be counted by. */
import type { StreamField, StreamInfo } from './stream.ts';

const NUMERIC = new Set(['int32', 'int64', 'uint64', 'float64', 'decimal']);
/** Best first: few, named values make the better table. */
const DIMENSIONS = ['enum', 'string', 'bool', 'int32', 'int64', 'uint64', 'ip', 'uuid'];

export function measurable(stream: StreamInfo): readonly StreamField[] {
  return stream.fields.filter((field) => NUMERIC.has(field.kind) && field.name !== stream.eventId);
}

/** Fields to count by; the event's own id last, since every value of it is different. */
export function dimensions(stream: StreamInfo): readonly StreamField[] {
  const rank = (field: StreamField): number =>
    DIMENSIONS.indexOf(field.kind) + (field.name === stream.eventId ? DIMENSIONS.length : 0);
  return stream.fields
    .filter((field) => DIMENSIONS.includes(field.kind))
    .toSorted((left, right) => rank(left) - rank(right));
}

export function isNumeric(kind: string): boolean {
  return NUMERIC.has(kind);
}
