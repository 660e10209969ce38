/** Dimension tables: their rows, versions of one row, and writing them. */
import { type Count, toCount } from '../model/count.ts';
import { formatValue } from '../model/format.ts';
import { type Loose, loose, looseList, textOf } from '../model/loose.ts';
import type { Api } from './client.ts';
import { pathOf } from './objects.ts';

export interface RowsPage {
  readonly rows: readonly Loose[];
  readonly next: string | undefined;
}

interface RowsWish {
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** A condition, `country:eq:de`. */
  readonly where?: string | undefined;
}

export async function listRows(
  api: Api,
  table: string,
  { limit, cursor, where }: RowsWish,
  signal: AbortSignal,
): Promise<RowsPage> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (cursor !== undefined) query.set('cursor', cursor);
  if (where !== undefined) query.set('where', where);
  const answer = loose(await api.get(`${pathOf('table', table)}/rows?${query}`, signal));
  return { rows: looseList(answer.rows), next: textOf(answer.next_cursor) };
}

/** A name as SQL has it. */
const quoted = (name: string): string => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;

/** The newest first; needs `sql:read`. The key travels as a parameter. */
export async function listVersions(
  api: Api,
  table: string,
  key: string,
  value: unknown,
  limit: number,
  signal: AbortSignal,
): Promise<readonly Loose[]> {
  const query = `SELECT * FROM ${quoted(`${table}_history`)} WHERE toString(${quoted(key)}) = {value:String} ORDER BY _valid_from DESC LIMIT ${limit}`;
  const body = { query, params: { value: formatValue(value) }, format: 'json' };
  const answer = loose(await api.change({ method: 'POST', path: 'v1/sql', body, signal }));
  return looseList(answer.rows);
}

const UPLOAD_TIMEOUT_MS = 120_000;

export interface Written {
  readonly rows: Count;
  readonly changed: Count;
}

export async function uploadRows(api: Api, table: string, csv: Blob): Promise<Written> {
  const answer = loose(
    await api.change({
      ...{ method: 'POST', path: `${pathOf('table', table)}/rows` },
      ...{ file: { type: 'text/csv', content: csv }, timeoutMs: UPLOAD_TIMEOUT_MS },
    }),
  );
  return { rows: toCount(answer.rows), changed: toCount(answer.changed) };
}
