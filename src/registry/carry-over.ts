import { parseStream, toDocument } from '../define/index.ts';
import { columnOf, type Field, namesOf, type StreamDefinition } from '../define/model.ts';

/**
 * The next definition of a stream as it is kept: what its author wrote, and what he need not write because the
 * definition before says it.
 *
 * - A field that was renamed (an earlier name among its aliases) stays in the column that it was made with.
 * - A field that is no longer written is retired: what is stored of it stays.
 *
 * Fails with `bad-definition` when a new field would take the column of another.
 */
export function carryOver(previous: StreamDefinition | undefined, next: StreamDefinition): StreamDefinition {
  if (!previous) return next;
  const before = new Map(next.fields.map((field) => [field.name, earlierField(previous, next, field)]));
  const fields = next.fields.map((field) => {
    const column = columnOf(before.get(field.name) ?? field);
    return field.column !== undefined || column === field.name ? field : { ...field, column };
  });
  const went = previous.fields.filter((field) => ![...before.values()].includes(field));
  // Read once more: a column that is kept may be one that a new field would take.
  return parseStream(next.name, toDocument({ ...next, fields: [...fields, ...went.map(retired)] }));
}

/** The field of the definition before that this one goes on with. */
export function earlierField(
  previous: StreamDefinition,
  next: Pick<StreamDefinition, 'fields'>,
  field: Field,
): Field | undefined {
  const names = new Set(next.fields.map((one) => one.name));
  return (
    previous.fields.find((one) => one.name === field.name) ??
    // By an earlier name, unless another field goes by that name now.
    previous.fields.find(
      (one) => !names.has(one.name) && (field.aliases ?? []).some((alias) => namesOf(one).includes(alias)),
    )
  );
}

const retired = (field: Field): Field => ({ ...field, optional: true, retired: true });
