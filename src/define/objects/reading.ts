/** What the readers of objects share. */
import { definitionName } from '../document.ts';
import { asObject, badDefinition, Mistakes } from '../mistakes.ts';
import type { KindOf } from './kinds.ts';

/**
 * Reads a document by its schema, then lets `understand` check what one value must know of another; every mistake is told
 * at once, under the path of its value.
 */
export function readObject<S extends KindOf<unknown>['schema'], D>(
  what: string,
  name: string,
  document: unknown,
  schema: S,
  understand: (document: S['_zod']['output'], mistakes: Mistakes) => D,
): D {
  const mistakes = new Mistakes();
  const title = `the ${what} ${JSON.stringify(name)}`;
  mistakes.check(definitionName, name, ['name']);
  if (!asObject(document, ['document'], mistakes)) throw badDefinition(title, mistakes.issues);
  const read = mistakes.check(schema, document, []);
  if (read === undefined) throw badDefinition(title, mistakes.issues);
  const definition = understand(read, mistakes);
  mistakes.throwIfAny(title);
  return Object.freeze(definition);
}

/** The table of `channels.country` and `channels(shown_on).country`; undefined when it is the name of a field. */
export const tableOfColumn = (written: string): string | undefined =>
  /^\s*([^.():,\s]+)\s*(?:\([^()]*\)\s*)?\./.exec(written)?.[1];

/** The parts of `channels.country` and `channels(shown_on).country`: table, field of the stream, column. */
export interface WrittenColumn {
  readonly table: string;
  readonly via: string | undefined;
  readonly column: string;
}

const COLUMN = /^([^.():]+)(?:\(([^():]*)\))?\.([^():]+)$/;

/** Undefined when it is not written as the column of a table. */
export function columnOfTable(written: string): WrittenColumn | undefined {
  const match = COLUMN.exec(written.replaceAll(/\s+/g, ''));
  const [, table = '', via, column = ''] = match ?? [];
  return match ? { table, via, column } : undefined;
}

/** A time zone of the IANA, as this machine knows it. */
export function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
