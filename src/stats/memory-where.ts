/** Conditions as memory checks them; the same meaning as the SQL of where.ts. */

import { columnOf, type FieldType } from '../define/model.ts';
import type { HotQuestion } from '../hot/index.ts';
import { compareText } from '../hot/index.ts';
import { addressText } from './address.ts';
import { compareJson } from './compare.ts';
import type { Condition } from './where.ts';

/** Undefined: only the engine can tell (`like`). An event that does not have the field satisfies no condition on it. */
export function memoryWhere(where: readonly Condition[]): Pick<HotQuestion, 'equal' | 'tests'> | undefined {
  const equal: { column: string; values: readonly string[] }[] = [];
  const tests: { column: string; accepts: (value: string | null) => boolean }[] = [];
  for (const { field, op, values } of where) {
    if (op === 'like' || field.type.kind === 'float64') return undefined;
    const column = columnOf(field);
    const wanted = values.map((value) => canonical(field.type, value));
    if (op === 'eq' || op === 'in') equal.push({ column, values: wanted });
    else tests.push({ column, accepts: testOf(field.type, op, wanted) });
  }
  return { equal, tests };
}

type Test = (value: string | null) => boolean;

function testOf(
  type: FieldType,
  op: Exclude<Condition['op'], 'eq' | 'in' | 'like'>,
  wanted: readonly string[],
): Test {
  if (op === 'ne' || op === 'nin') {
    const refused = new Set(wanted);
    return (value) => value !== null && !refused.has(value);
  }
  const compare = type.kind === 'string' ? compareText : compareJson;
  const bound = wanted[0]!;
  switch (op) {
    case 'gt':
      return (value) => value !== null && compare(value, bound) > 0;
    case 'gte':
      return (value) => value !== null && compare(value, bound) >= 0;
    case 'lt':
      return (value) => value !== null && compare(value, bound) < 0;
    case 'lte':
      return (value) => value !== null && compare(value, bound) <= 0;
  }
}

/** The text under which memory knows the value. */
function canonical({ kind }: FieldType, value: string): string {
  if (kind === 'ip') return addressText(value);
  return kind === 'decimal' && value === '-0' ? '0' : value;
}
