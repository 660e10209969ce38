/** Keys of a window: fields of its stream, and columns of dimension tables as they were at the event's time. */
import { MillraceError } from '../base/errors.ts';
import { type Field, fieldOf, type StreamDefinition, type WindowDefinition } from '../define/model.ts';
import { type JoinedField, parseJoined, type TableOf } from '../stats/index.ts';

/** What keys are read from. */
export interface KeysOf {
  readonly stream: StreamDefinition;
  readonly window: WindowDefinition;
  readonly tableOf: TableOf;
}

/** Columns of tables that are keys, with their names in results. Fails with `bad-definition` when there is none such. */
export function joinedKeys({ stream, window, tableOf }: KeysOf): readonly (readonly [string, JoinedField])[] {
  return Object.entries(window.joined).map(([name, written]) => {
    const found = parseJoined(written, stream, tableOf) ?? `there is no table of "${written}"`;
    if (typeof found !== 'string') {
      const mistake =
        found.type.kind === 'array' || found.type.kind === 'json'
          ? `"${written}" is of type ${found.type.kind}, which is no key`
          : found.join.table.history
            ? undefined
            : `the table "${found.join.table.name}" keeps no history, so nobody knows what was at the event's time`;
      if (mistake === undefined) return [name, found] as const;
      throw refusal(window, mistake);
    }
    throw refusal(window, found);
  });
}

const refusal = ({ name }: WindowDefinition, message: string): MillraceError =>
  new MillraceError('bad-definition', `the window "${name}" is not right: ${message}`, {
    issues: [{ path: 'by', message }],
  });

/** In the order of the definition, with the column of `eventsSql` that holds each. */
export function keyFields(of: KeysOf): readonly Field[] {
  const joined = new Map(joinedKeys(of));
  return of.window.by.map((name): Field => {
    const column = joined.get(name);
    return column ? { name, type: column.type, optional: true, column: name } : fieldOf(of.stream, name)!;
  });
}
