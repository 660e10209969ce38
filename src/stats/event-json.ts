/** An event as JSON text, put together from the texts that the engine and the sender wrote. */
import { columnOf, type Field, type StreamDefinition } from '../define/model.ts';
import { quoteIdentifier } from '../store/index.ts';

const OWN_COLUMNS = ['_id', '_time', '_received', '_partition', '_offset'] as const;

/** Columns of a listing: an array of JSON texts (declared fields, then our own), and the sender's extra fields. */
export function eventColumns(stream: StreamDefinition): string {
  const fields = stream.fields.map(jsonColumn);
  const own = OWN_COLUMNS.map((name) => `toJSONString(${name})`);
  // Without names of their own: a condition on a field called as one of them would mean it instead of the field.
  return `[${[...fields, ...own].join(', ')}], _extra, toUnixTimestamp64Milli(_time)`;
}

/** The field's value as JSON text. */
export function jsonColumn(field: Field): string {
  const column = quoteIdentifier(columnOf(field));
  if (field.type.kind === 'json') return `if(empty(ifNull(${column}, '')), NULL, ${column})`;
  return `toJSONString(${column})`;
}

/** Where an event lies tells how many others came before it. */
const PLACE: readonly string[] = ['_partition', '_offset'];

export function eventJson(
  stream: StreamDefinition,
  row: readonly (string | null)[],
  extra: string,
  { withPlace = true }: { readonly withPlace?: boolean } = {},
): string {
  const members = new Map<string, string>();
  stream.fields.forEach((field, index) => {
    const json = fieldJson(field, row[index] ?? null);
    // What is retired is shown where it was kept.
    if (!field.retired || (json !== 'null' && json !== '[]')) members.set(JSON.stringify(field.name), json);
  });
  for (const [key, value] of membersOf(extra)) {
    // A field that was declared after the event came is still among its extra ones.
    if ((members.get(key) ?? 'null') === 'null') members.set(key, value);
  }
  OWN_COLUMNS.forEach((name, index) => {
    if (!withPlace && PLACE.includes(name)) members.delete(`"${name}"`);
    else members.set(`"${name}"`, row[stream.fields.length + index] ?? 'null');
  });
  return `{${[...members].map(([key, value]) => `${key}:${value}`).join(',')}}`;
}

export const fieldJson = (field: Field, value: string | null): string =>
  value === null ? 'null' : field.type.kind === 'ip' ? plainIp(value) : value;

/** The engine keeps IPv4 addresses inside IPv6. */
const plainIp = (value: string): string => value.replace(/^"::ffff:(\d+\.\d+\.\d+\.\d+)"$/, '"$1"');

/**
 * The members of a JSON object, key and value as they are written: parsing numbers would round them. `text` is
 * valid JSON or empty.
 */
export function* membersOf(text: string): Generator<readonly [key: string, value: string]> {
  let depth = 0;
  let start = 0;
  let key: string | undefined;
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (char === '"') {
      for (i += 1; i < text.length && text[i] !== '"'; i += 1) if (text[i] === '\\') i += 1;
    } else if (char === '{' || char === '[') {
      depth += 1;
      if (depth === 1) start = i + 1;
    } else if (char === ':' && depth === 1 && key === undefined) {
      // The same key may be escaped in different ways.
      key = JSON.stringify(JSON.parse(text.slice(start, i)));
      start = i + 1;
    } else if (char === '}' || char === ']') depth -= 1;
    const ended = (char === ',' && depth === 1) || (char === '}' && depth === 0);
    if (!ended) continue;
    if (key !== undefined) yield [key, text.slice(start, i).trim()];
    key = undefined;
    start = i + 1;
  }
}
