/** The row filter of a key as text of SQL, for statements whose parameters belong to somebody else. */
import { MillraceError } from '../base/errors.ts';
import type { Field, StreamDefinition } from '../define/model.ts';
import { quoteText } from '../store/index.ts';
import { type Binder, conditionSql, parseCondition } from './where.ts';

export interface FilterSql {
  /** Over the columns of the stream's table; undefined when it lets everything through. */
  readonly sql: string | undefined;
  /** The fields that it compares. */
  readonly fields: readonly Field[];
}

/** Values as literals: a parameter could be given, or read, by whoever asks. */
const literals: Binder = {
  bind: (type, value) => {
    const text = Array.isArray(value) ? `[${value.map(literal).join(', ')}]` : literal(value);
    return `CAST(${text}, ${quoteText(type)})`;
  },
};

const literal = (value: unknown): string => quoteText(String(value)).replaceAll('\0', '\\0');

/** Fails with `bad-question` when a condition does not fit the stream any more: then the key sees nothing of it. */
export function rowFilterSql(written: readonly string[], stream: StreamDefinition, nowMs: number): FilterSql {
  const conditions = written.map((text) => {
    const condition = parseCondition(text, stream, nowMs, 'UTC');
    if (typeof condition !== 'string') return condition;
    const message = `a condition of your key does not fit the stream ${stream.name} any more; have the key changed`;
    throw new MillraceError('bad-question', message, { issues: [{ path: 'rowFilters', message }] });
  });
  return {
    sql:
      conditions.length === 0
        ? undefined
        : conditions.map((condition) => `(${conditionSql(condition, literals)})`).join(' AND '),
    fields: conditions.map(({ field }) => field),
  };
}
