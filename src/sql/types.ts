/**
 * Types that a value may be given by a question: `{name:Type}`, `CAST(x, 'Type')`, `JSONExtract(x, 'Type')`. States of
 * aggregates are not among them: the engine reads them from bytes, and bytes of a stranger are no state. Nor is
 * `Identifier`, which would make a value a name.
 */
const VALUE_TYPES = new Set(
  [
    ...['Bool', 'String', 'FixedString', 'UUID', 'IPv4', 'IPv6', 'Enum8', 'Enum16', 'Enum'],
    ...['Int8', 'Int16', 'Int32', 'Int64', 'Int128', 'Int256'],
    ...['UInt8', 'UInt16', 'UInt32', 'UInt64', 'UInt128', 'UInt256'],
    ...['Float32', 'Float64', 'Decimal', 'Decimal32', 'Decimal64', 'Decimal128', 'Decimal256'],
    ...['Date', 'Date32', 'DateTime', 'DateTime64'],
    ...['Nullable', 'LowCardinality', 'Array', 'Tuple', 'Map'],
    // The SQL names of some of them, as the engine takes them in any case.
    ...['INT', 'INTEGER', 'BIGINT', 'SMALLINT', 'TINYINT', 'FLOAT', 'DOUBLE', 'DOUBLE PRECISION', 'BOOLEAN'],
    ...['TEXT', 'VARCHAR', 'CHAR', 'TIMESTAMP', 'UNSIGNED', 'SIGNED', 'NUMERIC', 'DEC', 'REAL'],
  ].map((name) => name.toLowerCase()),
);

const LENGTH_MAX = 500;
/** Texts (time zones, values of an enumeration) and numbers are arguments; they name no type. */
const ARGUMENTS = /'(?:[^'\\]|\\.)*'|(?<!\w)-?\d+/g;

/** True when every word of the type is one of the list; so the elements of a tuple carry no names. */
export function isValueType(type: string): boolean {
  if (type.length > LENGTH_MAX) return false;
  const bare = type.replaceAll(ARGUMENTS, '').trim();
  if (!/^[\w\s(),=]+$/.test(bare) || !isBalanced(bare)) return false;
  const words = bare
    .split(/[(),=]/)
    .map((word) => word.trim())
    .filter((word) => word !== '');
  return words.length > 0 && words.every((word) => VALUE_TYPES.has(word.toLowerCase()));
}

function isBalanced(text: string): boolean {
  let open = 0;
  for (const char of text) {
    if (char === '(') open += 1;
    if (char === ')') open -= 1;
    if (open < 0) return false;
  }
  return open === 0;
}
