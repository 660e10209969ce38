/** A request of ClickHouse's HTTP interface, read. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MillraceError } from '../../base/errors.ts';
import { decoderFor } from '../../collect/index.ts';
import { Refusal } from './refusal.ts';

/** Of the question with its parameters. */
export const REQUEST_BYTES_MAX = 2 ** 20;

export interface ClickhouseRequest {
  readonly query: string;
  readonly database: string | undefined;
  readonly format: string | undefined;
  readonly queryId: string | undefined;
  /** Values of `{name:Type}`, in the engine's escaped form. */
  readonly params: Readonly<Record<string, string>>;
  /** Everything else of the address. */
  readonly settings: ReadonlyMap<string, string>;
  /** 0: none was named. */
  readonly protocolVersion: number;
  readonly compress: 'blocks' | 'http' | 'no';
  readonly waitsForEnd: boolean;
}

const NO_SETTINGS = new Set([
  ...['query', 'database', 'default_format', 'user', 'password', 'query_id', 'compress', 'decompress'],
  ...['quota_key', 'default_format', 'role', 'stacktrace', 'buffer_size', 'client_protocol_version'],
]);

export function readAddress(
  url: URLSearchParams,
  headers: IncomingMessage['headers'],
): Omit<ClickhouseRequest, 'query'> & { readonly query: string } {
  if (isOn(url.get('decompress'))) {
    throw new Refusal(
      'UNKNOWN_COMPRESSION_METHOD',
      'decompress=1 is not offered; compress the request with Content-Encoding, or do not compress it',
    );
  }
  const params: Record<string, string> = {};
  const settings = new Map<string, string>();
  for (const [name, value] of url) {
    if (name.startsWith('param_')) params[name.slice('param_'.length)] = value;
    else if (!NO_SETTINGS.has(name)) settings.set(name, value);
  }
  const blocks = isOn(url.get('compress'));
  const http = isOn(url.get('enable_http_compression'));
  return {
    query: url.get('query') ?? '',
    database: nameOf(url.get('database')) ?? nameOf(headers['x-clickhouse-database']),
    format: nameOf(url.get('default_format')) ?? nameOf(headers['x-clickhouse-format']),
    queryId: nameOf(url.get('query_id')) ?? nameOf(headers['x-clickhouse-query-id']),
    params,
    settings,
    protocolVersion: Number(/^\d{1,6}$/.exec(url.get('client_protocol_version') ?? '')?.[0] ?? 0),
    compress: blocks ? 'blocks' : http ? 'http' : 'no',
    waitsForEnd: isOn(url.get('wait_end_of_query')),
  };
}

const isOn = (value: string | null): boolean => value === '1' || value === 'true';

const nameOf = (value: string | readonly string[] | null | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** The body as text. Fails with `too-large`, `bad-body`, `unsupported-media-type`. */
export async function readText(request: IncomingMessage): Promise<string> {
  if (/^multipart\//i.test(request.headers['content-type'] ?? '')) {
    throw new Refusal('NOT_IMPLEMENTED', 'multipart requests are not offered; send the question as the body');
  }
  const decoder = decoderOf(request.headers['content-encoding']);
  const chunks: Buffer[] = [];
  let bytes = 0;
  const collect = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > REQUEST_BYTES_MAX) {
        throw new MillraceError('too-large', `The question is over ${REQUEST_BYTES_MAX} bytes.`);
      }
      chunks.push(chunk);
    }
  };
  try {
    // Not `request` itself: to destroy it would take the answer's connection with it.
    const source = Readable.from(request, { objectMode: false });
    await (decoder === undefined ? collect(request) : pipeline(source, decoder, collect));
  } catch (cause) {
    if (cause instanceof MillraceError || cause instanceof Refusal) throw cause;
    throw new MillraceError('bad-body', 'The body broke off, or does not decompress.', { cause });
  }
  return Buffer.concat(chunks).toString('utf8');
}

const decoderOf = (encoding: string | undefined): ReturnType<typeof decoderFor> =>
  decoderFor(encoding, REQUEST_BYTES_MAX);

/** As ClickHouse joins them: what the address says comes first. */
export const joinQuery = (address: string, body: string): string =>
  address === '' ? body : body === '' ? address : `${address}\n${body}`;
