import { type ElementDocument, fieldObjects } from './document.ts';
import { PLAIN_KINDS } from './kinds.ts';
import { asObject, type Mistakes, type Path } from './mistakes.ts';
import type { Field, FieldType } from './model.ts';
import { hint } from './names.ts';

type FieldMeaning = Omit<Field, 'name'>;

/** Reads `"uint64"` or `{"type": "string", "maxLength": 5000}`; `undefined` after its mistakes were noted. */
export function parseField(document: unknown, path: Path, mistakes: Mistakes): FieldMeaning | undefined {
  if (typeof document === 'string') {
    const type = shortType(document, path, mistakes);
    return type && { type, optional: false };
  }
  const object = asObject(document, path, mistakes);
  if (!object) return undefined;
  const schema = schemaOf(object.type, [...path, 'type'], mistakes);
  if (!schema) return undefined;
  // The element of an array is read by itself first: a union of schemas would say only that none fits.
  const before = mistakes.issues.length;
  if (object.type === 'array') checkElement(object.of, [...path, 'of'], mistakes);
  if (mistakes.issues.length > before) return undefined;
  const checked = mistakes.check(schema, object, path);
  if (!checked) return undefined;
  const type = longType(checked);
  noteContradictions(type, path, mistakes);
  const { alias, retired, column } = checked;
  return {
    type,
    // Events no longer bring a retired field.
    optional: retired ?? checked.optional ?? false,
    ...(alias === undefined ? {} : { aliases: alias }),
    ...(column === undefined ? {} : { column }),
    ...(retired === undefined ? {} : { retired }),
  };
}

function checkElement(document: unknown, path: Path, mistakes: Mistakes): void {
  if (document === undefined) {
    mistakes.add(path, 'is missing; name the type of the elements');
    return;
  }
  const type = typeof document === 'string' ? document : (document as { type?: unknown } | null)?.type;
  if (type === 'array' || type === 'json') {
    mistakes.add(path, `an array cannot hold ${type}; use the type json for nested values`);
    return;
  }
  const element = parseField(document, path, mistakes);
  if (element && typeof document === 'object' && document !== null && 'optional' in document) {
    mistakes.add(
      [...path, 'optional'],
      'the elements of an array are never optional; make the field optional',
    );
  }
}

type FieldObject = {
  [K in keyof typeof fieldObjects]: (typeof fieldObjects)[K]['_zod']['output'];
}[keyof typeof fieldObjects];

const longType = (document: Exclude<ElementDocument, string> | FieldObject): FieldType => {
  switch (document.type) {
    case 'string':
      return document.maxLength === undefined
        ? { kind: 'string' }
        : { kind: 'string', maxLength: document.maxLength };
    case 'decimal':
      return { kind: 'decimal', precision: document.precision, scale: document.scale };
    case 'enum':
      return { kind: 'enum', values: document.values };
    case 'array':
      return {
        kind: 'array',
        of: typeof document.of === 'string' ? { kind: document.of } : longType(document.of),
      };
    default:
      return { kind: document.type };
  }
};

function noteContradictions(type: FieldType, path: Path, mistakes: Mistakes): void {
  if (type.kind === 'decimal' && type.scale > type.precision) {
    mistakes.add([...path, 'scale'], 'must not be greater than precision: it counts some of the same digits');
  }
  if (type.kind === 'enum' && new Set(type.values).size < type.values.length) {
    mistakes.add([...path, 'values'], 'names a value twice');
  }
}

const TYPE_NAMES = [...PLAIN_KINDS, 'decimal', 'enum', 'array'] as const;

/** What other systems call our types. */
const ELSEWHERE: Readonly<Record<string, (typeof TYPE_NAMES)[number]>> = {
  boolean: 'bool',
  int: 'int64',
  integer: 'int64',
  bigint: 'int64',
  long: 'int64',
  uint: 'uint64',
  float: 'float64',
  double: 'float64',
  number: 'float64',
  text: 'string',
  varchar: 'string',
  date: 'timestamp',
  datetime: 'timestamp',
  time: 'timestamp',
  object: 'json',
  list: 'array',
  numeric: 'decimal',
};

function unknownType(name: string, path: Path, mistakes: Mistakes): void {
  const known = Object.hasOwn(ELSEWHERE, name) ? ELSEWHERE[name] : undefined;
  mistakes.add(
    path,
    `there is no type "${name}"${known === undefined ? hint(name, TYPE_NAMES) : `; did you mean "${known}"?`}`,
  );
}

const NEEDS: Readonly<Record<string, string>> = {
  decimal: '{"type": "decimal", "precision": 18, "scale": 2}',
  enum: '{"type": "enum", "values": ["a", "b"]}',
  array: '{"type": "array", "of": "string"}',
};

function shortType(name: string, path: Path, mistakes: Mistakes): FieldType | undefined {
  const kind = PLAIN_KINDS.find((plain) => plain === name);
  if (kind) return { kind };
  if (Object.hasOwn(NEEDS, name)) mistakes.add(path, `${name} needs more; write ${NEEDS[name]}`);
  else unknownType(name, path, mistakes);
  return undefined;
}

function schemaOf(type: unknown, path: Path, mistakes: Mistakes) {
  if (typeof type !== 'string') {
    mistakes.add(path, type === undefined ? 'is missing; name the type' : 'must be the name of a type');
    return undefined;
  }
  if (type === 'string' || type === 'decimal' || type === 'enum' || type === 'array')
    return fieldObjects[type];
  if (PLAIN_KINDS.some((kind) => kind === type)) return fieldObjects.plain;
  unknownType(type, path, mistakes);
  return undefined;
}
