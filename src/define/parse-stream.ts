import type { z } from 'zod';
import type { StreamName } from '../base/brand.ts';
import { parseDuration } from '../base/duration.ts';
import {
  dedupeObject,
  definitionName,
  FIELDS_MAX,
  fieldName,
  type StreamDocument,
  streamDocument,
} from './document.ts';
import { DIMENSION_KINDS, ID_KINDS, type Kind } from './kinds.ts';
import { asObject, badDefinition, Mistakes } from './mistakes.ts';
import {
  columnOf,
  type Field,
  type StreamDefinition,
  WATERMARK_DEFAULT,
  type WatermarkPolicy,
} from './model.ts';
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
      mistakes.add(key.split('.'), `there is no field "${fieldNamed}"${hint(fieldNamed, names)}`);
    } else if (field) {
      if (!kinds.includes(field.type.kind)) {
        mistakes.add(key.split('.'), `"${fieldNamed}" is ${field.type.kind}; it must be ${kinds.join(', ')}`);
      }
      if (field.retired) {
        mistakes.add(key.split('.'), `"${fieldNamed}" is retired; every event needs it`);
      } else if (required && field.optional) {
        mistakes.add(
          key.split('.'),
          `"${fieldNamed}" is optional; every event needs it, so make the field required`,
        );
      }
    }
  };
  role('eventId', eventId, ID_KINDS, true);
  role('eventTime', eventTime, ['timestamp'], true);
  role('partitionBy', partitionBy, DIMENSION_KINDS, false);

  const partitions = read('partitions', shape.partitions) ?? 1;
  const dedupe = object.dedupe;
  const declared =
    dedupe === undefined || dedupe === false ? undefined : mistakes.check(dedupeObject, dedupe, ['dedupe']);
  const dedupeWithinMs = dedupe === false ? 0 : (ms(declared?.within) ?? DAY_MS);
  const lateness = read('lateness', shape.lateness);
  const future = read('future', shape.future);
  const watermark = read('watermark', shape.watermark);
  role('watermark.source', watermark?.source, DIMENSION_KINDS, false);
  const retention = read('retention', shape.retention);
  const resultOf = read('resultOf', shape.resultOf);
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
    ...(declared?.rate === undefined ? {} : { dedupeRatePerSecond: declared.rate }),
    lateness: lateness && { allowedMs: ms(lateness.allowed)!, then: lateness.then ?? 'count' },
    futureAllowedMs: ms(future) ?? DAY_MS,
    ...(watermark === undefined ? {} : { watermark: watermarkFrom(watermark) }),
    retention: {
      logMs: ms(retention?.log),
      hotMs,
      coldMs: ms(retention?.cold),
      quarantineMs: ms(retention?.quarantine),
    },
    ...(resultOf === undefined ? {} : { resultOf }),
  } satisfies StreamDefinition);
}

function watermarkFrom({ delay, idle, source }: NonNullable<StreamDocument['watermark']>): WatermarkPolicy {
  return {
    delayMs: ms(delay) ?? WATERMARK_DEFAULT.delayMs,
    idleMs: idle === false ? undefined : (ms(idle) ?? WATERMARK_DEFAULT.idleMs),
    ...(source === undefined ? {} : { source }),
  };
}

/** Every field by name; `undefined` stands for one that is there and has a mistake. */
export function parseFields(document: unknown, mistakes: Mistakes): Map<string, Field | undefined> {
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
    fields.set(name, meaning && named(name, meaning));
  }
  checkNames(fields, mistakes);
  return fields;
}

/** A column of the field's own name goes without saying. */
function named(name: string, { column, ...meaning }: Omit<Field, 'name'>): Field {
  return { name, ...meaning, ...(column === undefined || column === name ? {} : { column }) };
}

/** A name means one field, a column holds one. */
function checkNames(fields: ReadonlyMap<string, Field | undefined>, mistakes: Mistakes): void {
  const meant = new Map<string, string>([...fields.keys()].map((name) => [name, name]));
  const held = new Map<string, string>();
  for (const [name, field] of fields) {
    (field?.aliases ?? []).forEach((alias, index) => {
      const other = meant.get(alias);
      if (other !== undefined) {
        mistakes.add(['fields', name, 'alias', index], `"${alias}" already names the field "${other}"`);
      }
      meant.set(alias, name);
    });
    if (!field) continue;
    const column = columnOf(field);
    const other = held.get(column);
    if (other !== undefined) {
      mistakes.add(
        ['fields', name],
        `the column "${column}" already holds the field "${other}"; give one of them another name`,
      );
    }
    held.set(column, name);
  }
}

const ms = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text);
