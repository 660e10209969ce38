/** Rows as aligned columns for people; numbers to the right. */
export function textTable(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map(cellText));
  const widths = columns.map((name, column) =>
    Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const right = columns.map((_, column) =>
    rows.every(
      (row) => row[column] === null || typeof row[column] === 'number' || typeof row[column] === 'bigint',
    ),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, column) => (right[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return `${[line(columns), line(widths.map((width) => '─'.repeat(width))), ...cells.map(line)].join('\n')}\n`;
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number' && !Number.isInteger(value)) return String(Number(value.toPrecision(7)));
  if (isTop(value)) return value.map((one) => `${cellText(one.value)} ${one.count}`).join(', ');
  if (typeof value === 'object') {
    return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner));
  }
  return String(value).replace(/\p{Cc}/gu, '·');
}

/** The answer of `top(f,k)`. */
const isTop = (value: unknown): value is readonly { readonly value: unknown; readonly count: unknown }[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every((one) => typeof one === 'object' && one !== null && 'value' in one && 'count' in one);

const BARS = '▁▂▃▄▅▆▇█';

/** `[1, 5, 3]` → `▁█▄`; at most `width` bars, each the greatest of its stretch. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(values.length, width);
  const shown = Array.from({ length: count }, (_, bar) =>
    Math.max(
      ...values.slice(
        Math.floor((bar * values.length) / count),
        Math.floor(((bar + 1) * values.length) / count),
      ),
    ),
  );
  const least = Math.min(...shown);
  const span = Math.max(...shown) - least;
  return shown
    .map((value) => BARS[span === 0 ? 0 : Math.round(((value - least) / span) * (BARS.length - 1))])
    .join('');
}
