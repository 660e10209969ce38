/** Rows of dimension tables. */
import { parseJson, toJson } from './json.ts';
import { pathOf, queryText } from './query.ts';
import type { Transport } from './transport.ts';

export interface TableInfo {
  readonly name: string;
  readonly version: number;
  readonly updated_at: string;
  readonly document: {
    readonly key: string;
    readonly fields: Readonly<
      Record<string, string | { readonly type: string; readonly optional?: boolean }>
    >;
    readonly history: boolean;
  };
}

export interface RowsQuestion {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly where?: readonly string[] | undefined;
  /** As the rows were then. */
  readonly at?: string | Date | undefined;
}

export interface RowsPage {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly next_cursor: string | null;
}

export interface RowsChange {
  readonly rows: number;
  readonly changed: number;
}

export interface ChangeRowsOptions {
  /** From when on the rows are valid; absent: now, or what a row says in `_valid_from`. */
  readonly validFrom?: string | Date | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Changes are all or nothing, and the same again changes nothing: they are tried again as everything that is safe.
 *
 * @example
 * await client.tables.put('channels', [{ channel_id: 'a', country: 'de' }]); // { rows: 1, changed: 1 }
 */
export class TablesClient {
  readonly #transport: Transport;

  /** Use `client.tables`. */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<readonly TableInfo[]> {
    const answer = await this.#transport.get(pathOf('tables'));
    return (answer as { readonly tables: readonly TableInfo[] }).tables;
  }

  async rows(table: string, question: RowsQuestion = {}): Promise<RowsPage> {
    const path = `${pathOf('tables', table, 'rows')}${queryText(question)}`;
    return (await this.#transport.get(path)) as RowsPage;
  }

  put(table: string, rows: readonly object[], options: ChangeRowsOptions = {}): Promise<RowsChange> {
    return this.#send(table, toJson(rows), 'application/json', options);
  }

  /** Lines of NDJSON. */
  putLines(table: string, lines: Uint8Array, options: ChangeRowsOptions = {}): Promise<RowsChange> {
    return this.#send(table, lines, 'application/x-ndjson', options);
  }

  async remove(table: string, key: string, { validFrom }: ChangeRowsOptions = {}): Promise<RowsChange> {
    const path = `${pathOf('tables', table, 'rows', key)}${queryText({ valid_from: validFrom })}`;
    return (await this.#transport.json({ method: 'DELETE', path, repeatable: 'safe' })) as RowsChange;
  }

  async #send(
    table: string,
    body: string | Uint8Array,
    type: string,
    { validFrom, signal }: ChangeRowsOptions,
  ): Promise<RowsChange> {
    const answer = await this.#transport.send({
      method: 'POST',
      path: `${pathOf('tables', table, 'rows')}${queryText({ valid_from: validFrom })}`,
      body,
      headers: { 'content-type': type },
      repeatable: 'safe',
      signal,
    });
    return parseJson(answer.text) as RowsChange;
  }
}
