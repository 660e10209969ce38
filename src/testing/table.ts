/** The rows of a dimension table, as a test writes and reads them. */
import type { MillraceClient, RowsChange } from '../client/index.ts';

type Row = Readonly<Record<string, unknown>>;
type Moment = string | Date;

/** Made by `app.table(name)`. */
export interface TestTable {
  /**
   * Rows with these keys are as given: from now on, from `validFrom` on, or from what each says in `_valid_from`. All or
   * nothing; `changed` says how many were not like that already.
   */
  put(rows: readonly object[], options?: { readonly validFrom?: Moment }): Promise<RowsChange>;
  /** From now on, or from `validFrom` on, there is no row of this key. */
  remove(key: string | number | bigint, options?: { readonly validFrom?: Moment }): Promise<RowsChange>;
  /** By key: the rows as they stand, or as they were `at` a moment. */
  rows(question?: { readonly at?: Moment; readonly where?: readonly string[] }): Promise<readonly Row[]>;
}

const PAGE = 1_000;

export const tableOf = (
  client: Pick<MillraceClient, 'tables'>,
  name: string,
  during: <T>(work: () => Promise<T>) => Promise<T>,
): TestTable => ({
  put: (rows, options) => during(() => client.tables.put(name, rows, options)),
  remove: (key, options) => during(() => client.tables.remove(name, String(key), options)),
  rows: async (question = {}) => {
    const found: Row[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await during(() => client.tables.rows(name, { ...question, limit: PAGE, cursor }));
      found.push(...page.rows);
      if (page.next_cursor === null) return found;
      cursor = page.next_cursor;
    }
  },
});
