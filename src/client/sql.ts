/** Questions in SQL. */
import { MillraceRequestError } from './errors.ts';
import { pathOf } from './query.ts';
import type { Request, Transport } from './transport.ts';

export interface SqlOptions {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly format?: 'json' | 'ndjson' | 'csv';
  readonly signal?: AbortSignal | undefined;
}

export interface SqlStreamOptions {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly format: 'json' | 'ndjson' | 'csv' | 'arrow' | 'parquet';
  readonly signal?: AbortSignal | undefined;
}

/** An answer in pieces, and how fresh its rows are at the least: of the streams that are read, the one furthest behind. */
export interface SqlPieces extends AsyncIterable<Uint8Array> {
  /** Records that arrived by then are in the answer, RFC 3339; undefined when nothing is stored yet. */
  readonly asOf: string | undefined;
  /** Age of the oldest record that was accepted and is not in the answer, ms; 0 when there was none, undefined when the server does not tell. */
  readonly lagMs: number | undefined;
}

const requestOf = (
  query: string,
  { params = {}, format = 'json', signal }: SqlOptions | SqlStreamOptions,
): Request => ({
  method: 'POST',
  path: pathOf('sql'),
  body: JSON.stringify({ query, params, format }),
  headers: { 'content-type': 'application/json', accept: '*/*' },
  repeatable: 'safe',
  signal,
});

export const askSql = async (transport: Transport, query: string, options: SqlOptions): Promise<string> =>
  (await transport.send(requestOf(query, options))).text;

export async function streamSql(
  transport: Transport,
  query: string,
  options: SqlStreamOptions,
): Promise<SqlPieces> {
  const response = await transport.open(requestOf(query, options));
  return Object.assign(piecesOf(response, options.signal), {
    asOf: response.headers.get('millrace-as-of') ?? undefined,
    lagMs: numberOf(response.headers.get('millrace-lag-ms')),
  });
}

const numberOf = (text: string | null): number | undefined => (text === null ? undefined : Number(text));

async function* piecesOf(
  response: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const piece of response.body ?? []) yield piece as Uint8Array;
  } catch (cause) {
    signal?.throwIfAborted();
    throw new MillraceRequestError({
      status: 0,
      type: 'about:blank',
      title: 'The answer broke off',
      detail:
        'The answer broke off: it took too long, grew too large, or the server went away. Ask for less, or again.',
      cause,
    });
  }
}
