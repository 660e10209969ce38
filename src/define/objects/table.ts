/** Dimension tables: what the numbers are about, by key. */
import { z } from 'zod';
import { FIELDS_MAX, fieldDocument, fieldName, strict } from '../document.ts';
import { DIMENSION_KINDS } from '../kinds.ts';
import type { Field } from '../model.ts';
import { parseFields } from '../parse-stream.ts';
import { fieldToDocument } from '../to-document.ts';
import type { KindOf } from './kinds.ts';
import { readObject } from './reading.ts';

export interface TableDefinition {
  readonly kind: 'table';
  readonly name: string;
  /** The field that tells the rows apart. */
  readonly key: string;
  readonly fields: readonly Field[];
  /** Earlier versions of rows are kept, so that numbers can be joined with what was true at the event's time. */
  readonly history: boolean;
}

export const tableDocument = strict({
  key: fieldName.describe('The field that tells the rows apart.'),
  fields: z.record(fieldName, fieldDocument).describe(`1 to ${FIELDS_MAX} fields by name.`),
  history: z.boolean().optional().describe('Keep earlier versions of rows. Default true.'),
}).describe('A dimension table: what the numbers are about, joined with them by its key.');

export const tableKind: KindOf<TableDefinition> = {
  schema: tableDocument,
  parse: (name, document) =>
    readObject('table', name, document, tableDocument, (read, mistakes): TableDefinition => {
      const fields = [...parseFields(read.fields, mistakes).values()].filter((one) => one !== undefined);
      const key = fields.find((field) => field.name === read.key);
      if (!key) mistakes.add(['key'], `the table has no field "${read.key}"`);
      else if (key.optional || !(DIMENSION_KINDS as readonly string[]).includes(key.type.kind))
        mistakes.add(
          ['key'],
          'must be a required field with one value that is exact: text, a whole number, uuid …',
        );
      for (const field of fields) {
        if (field.aliases || field.column || field.retired)
          mistakes.add(
            ['fields', field.name],
            'fields of tables are not renamed or retired: add one, or leave one out',
          );
      }
      return { kind: 'table', name, key: read.key, fields, history: read.history ?? true };
    }),
  toDocument: ({ key, fields, history }) => ({
    key,
    fields: Object.fromEntries(fields.map((field) => [field.name, fieldToDocument(field)])),
    history,
  }),
  references: () => [],
};
