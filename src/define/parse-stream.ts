import type { z } from 'zod';
import type { StreamName } from '../base/brand.ts';
import { parseDuration } from '../base/duration.ts';
import { dedupeObject, definitionName, FIELDS_MAX, fieldName, streamDocument } from './document.ts';
import { DIMENSION_KINDS, ID_KINDS, type Kind } from './kinds.ts';
import { asObject, badDefinition, Mistakes } from './mistakes.ts';
import type { Field, StreamDefinition } from './model.ts';
import { hint } from './names.ts';
import { parseField } from './parse-field.ts';

const DAY_MS = 86_400_000;
const KEYS = Object.keys(streamDocument.shape);

/**
 * Reads the JSON document of a stream.
 *
 * Fails with `bad-definition`, whose `issues` hold every mistake at once, each with its path.
 *
 * @example
 * parseStream('clicks', { fields: { url: 'string', at: 'timestamp' }, eventTime: 'at' }).dedupeWithinMs; // 86400000
 */
export function parseStream(name: string, document: unknown): StreamDefinition {
  const mistakes = new Mistakes();
  mistakes.check(definitionName, name, ['name']);
  const object = asObject(document, ['document'], mistakes);
  if (!object) throw badDefinition(`the stream ${JSON.stringify(name)}`, mistakes.issues);

  for (const key of Object.keys(object)) {
    if (!KEYS.includes(key)) mistakes.add([key], `is not known here${hint(key, KEYS)}`);
  }
  const shape = streamDocument.shape;
  const read = <S extends z.ZodType>(key: string, schema: S) => mistakes.check(schema, object[key], [key]);

  const fields = parseFields(object.fields, mistakes);
  const eventId = read('eventId', shape.eventId);
  const eventTime = read('eventTime', shape.eventTime);
  const partitionBy = read('partitionBy', shape.partitionBy);
  const names = [...fields.keys()];
  const role = (key: string, fieldNamed: string | undefined, kinds: readonly Kind[], required: boolean) => {
    if (fieldNamed === undefined) return;
    const field = fields.get(fieldNamed);
    if (!fields.has(fieldNamed)) {
      mistakes.add([key], `there is no field "${fieldNamed}"${hint(fieldNamed, names)}`);
    } else if (field) {
      if (!kinds.includes(field.type.kind)) {
        mistakes.add([key], `"${fieldNamed}" is ${field.type.kind}; it must be ${kinds.join(', ')}`);
      }
      if (required && field.optional) {
        mistakes.add([key], `"${fieldNamed}" is optional; every event needs it, so make the field required`);
      }
    }
  };
  role('eventId', eventId, ID_KINDS, true);
  role('eventTime', eventTime, ['timestamp'], true);
  role('partitionBy', partitionBy, DIMENSION_KINDS, false);

  const partitions = read('partitions', shape.partitions) ?? 1;
  const dedupe = object.dedupe;
  const within =
    dedupe === undefined || dedupe === false
      ? undefined
      : mistakes.check(dedupeObject, dedupe, ['dedupe'])?.within;
  const dedupeWithinMs = dedupe === false ? 0 : (ms(within) ?? DAY_MS);
  const lateness = read('lateness', shape.lateness);
  const future = read('future', shape.future);
  const retention = read('retention', shape.retention);
  const hotMs = ms(retention?.hot);
  if (hotMs !== undefined && hotMs < dedupeWithinMs) {
    mistakes.add(
      ['retention', 'hot'],
      'must not be shorter than dedupe.within: an event that is forgotten cannot be known again',
    );
  }
  mistakes.throwIfAny(`the stream ${JSON.stringify(name)}`);

  return Object.freeze({
    kind: 'stream',
    name: name as StreamName,
    fields: [...fields.values()].filter((field) => field !== undefined),
    eventId,
    eventTime,
    partitionBy,
    partitions,
    dedupeWithinMs,
    lateness: lateness && { allowedMs: ms(lateness.allowed)!, then: lateness.then ?? 'count' },
    futureAllowedMs: ms(future) ?? DAY_MS,
    retention: {
      logMs: ms(retention?.log),
      hotMs,
      coldMs: ms(retention?.cold),
      quarantineMs: ms(retention?.quarantine),
    },
  } satisfies StreamDefinition);
}

/** Every field by name; `undefined` stands for one that is there and has a mistake. */
function parseFields(document: unknown, mistakes: Mistakes): Map<string, Field | undefined> {
  const fields = new Map<string, Field | undefined>();
  const object = asObject(document, ['fields'], mistakes);
  if (!object) return fields;
  const entries = Object.entries(object);
  if (entries.length === 0) mistakes.add(['fields'], 'a stream needs at least one field');
  if (entries.length > FIELDS_MAX) {
    mistakes.add(['fields'], `a stream has at most ${FIELDS_MAX} fields, this one has ${entries.length}`);
    return fields;
  }
  for (const [name, value] of entries) {
    mistakes.check(fieldName, name, ['fields', name]);
    const meaning = parseField(value, ['fields', name], mistakes);
    fields.set(name, meaning && { name, ...meaning });
  }
  return fields;
}

const ms = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text);
