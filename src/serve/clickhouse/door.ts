/**
 * ClickHouse's HTTP interface, for reading: `/clickhouse/` beside everything else, and `/` on a port of its own for the
 * clients that know no path. Every failure is told as ClickHouse tells it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { stringify } from 'uuid';
import type { Clock } from '../../base/clock.ts';
import { MillraceError } from '../../base/errors.ts';
import type { Ids } from '../../base/ids.ts';
import type { Catalog } from '../../catalog/port.ts';
import type { SqlLimits, Visit } from '../../questions/index.ts';
import type { Engine } from '../../store/index.ts';
import type { AuthenticateKey } from '../authenticate.ts';
import type { HttpMetrics } from '../metrics.ts';
import { refuseUnlessAllowed } from '../permissions.ts';
import { toMillraceError } from '../problem.ts';
import { headOf, piecesOf, sendLong } from '../sql/send.ts';
import type { TenantRequests } from '../tenant-requests.ts';
import { askClickhouse, DISPLAY_NAME, type Outcome } from './ask.ts';
import { principalOf } from './credentials.ts';
import { encodingFor } from './encode.ts';
import { exceptionBlock, exceptionOf, textOfException } from './exception.ts';
import { createFacts } from './facts.ts';
import { Refusal } from './refusal.ts';
import { type ClickhouseRequest, joinQuery, readAddress, readText } from './request.ts';
import { zoneName } from './settings.ts';
import type { ColumnFact } from './virtual-table.ts';

export interface ClickhouseDoorDeps {
  readonly catalog: Pick<Catalog, 'stream' | 'streams' | 'rollup' | 'rollups' | 'object' | 'objects'>;
  readonly engine: Pick<Engine, 'rows'>;
  readonly visit: Visit;
  readonly sqlBounds: SqlLimits;
  readonly authenticateKey: AuthenticateKey;
  readonly metrics: HttpMetrics;
  readonly requests: TenantRequests;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly isStopping: () => boolean;
}

/** `path` begins behind the place where the interface stands: `/`, `/ping`. */
export type ClickhouseDoor = (
  request: IncomingMessage,
  response: ServerResponse,
  url: ClickhouseUrl,
) => Promise<void>;

export interface ClickhouseUrl {
  readonly path: string;
  readonly query: string;
}

const PREFIX = '/clickhouse';
const ROUTE = 'POST /clickhouse/';
const TEXT = 'text/plain; charset=UTF-8';
const METHODS = 'GET, HEAD, OPTIONS, POST';
/** Relations whose columns are remembered. */
const RELATIONS_MAX = 10_000;
/** Of an answer that is to be known to its end before its head is sent. */
const AWAITED_BYTES_MAX = 2 ** 24;

/** Undefined for every other address. */
export function matchClickhouseUrl(url: string): ClickhouseUrl | undefined {
  if (!url.startsWith(PREFIX)) return undefined;
  const rest = url.slice(PREFIX.length);
  return rest === '' || rest[0] === '/' || rest[0] === '?' ? splitUrl(rest) : undefined;
}

export function splitUrl(url: string): ClickhouseUrl {
  const at = url.indexOf('?');
  const path = at === -1 ? url : url.slice(0, at);
  return { path: path === '' ? '/' : path, query: at === -1 ? '' : url.slice(at + 1) };
}

export function createClickhouseDoor(deps: ClickhouseDoorDeps): ClickhouseDoor {
  const { clock, metrics, logger, engine } = deps;
  const facts = createFacts(engine);
  const columns = new LRUCache<string, readonly ColumnFact[]>({ max: RELATIONS_MAX });
  const columnsOf = async (sql: string): Promise<readonly ColumnFact[]> => {
    const known = columns.get(sql);
    if (known !== undefined) return known;
    const described = await engine.rows<ColumnFact>({ text: `DESCRIBE TABLE (${sql})` });
    const found = described.map(({ name, type }) => ({ name, type }));
    columns.set(sql, found);
    return found;
  };

  return async (request, response, url) => {
    const startedMs = clock.monotonicMs();
    const told = new Telling(deps, request, response);
    try {
      if (!answerWithoutQuestion(request, response, url)) await ask(told, url);
    } catch (thrown) {
      try {
        told.refuse(thrown);
      } catch (error) {
        // Whoever waits hears of it, and nobody else.
        logger.error({ err: error, queryId: told.queryId, route: ROUTE }, 'a refusal could not be told');
        response.destroy();
      }
    }
    metrics.done(ROUTE, response.statusCode, clock.monotonicMs() - startedMs);
  };

  async function ask(told: Telling, { query }: ClickhouseUrl): Promise<void> {
    const { request, response } = told;
    if (deps.isStopping()) throw new MillraceError('stopping', 'The server is stopping. Ask again soon.');
    const address = new URLSearchParams(query);
    const principal = principalOf(request.headers, address, request.socket, deps.authenticateKey);
    deps.requests.enter(principal.tenant, response);
    refuseUnlessAllowed(principal, 'askClickhouse');
    const known = await facts();
    told.version = known.version;
    const read = readAddress(address, request.headers);
    told.begin(read, known.timezone);
    const body = request.method === 'POST' ? await readText(request) : '';
    const asked = { ...read, query: joinQuery(read.query, body) };
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const pieces = askClickhouse(
      { ...deps, facts: known, columnsOf, limits: deps.sqlBounds },
      principal,
      asked,
      told.outcome,
      gone.signal,
    );
    const head = await headOf(pieces, read.waitsForEnd ? AWAITED_BYTES_MAX : undefined);
    if ('whole' in head) return told.sendWhole(head.whole);
    const failure = await told.sendLong(piecesOf(head), deps.sqlBounds.timeoutSeconds * 1_000);
    if (failure)
      logger.warn({ err: failure, queryId: told.queryId }, 'an answer to a client of ClickHouse broke off');
  }
}

/** What needs no key: whether somebody is there, and what may be asked. False when it is a question. */
function answerWithoutQuestion(
  request: IncomingMessage,
  response: ServerResponse,
  { path, query }: ClickhouseUrl,
): boolean {
  const say = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): true => {
    request.resume();
    response.writeHead(status, {
      ...{
        'content-type': TEXT,
        'content-length': Buffer.byteLength(text),
        'x-content-type-options': 'nosniff',
      },
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : text);
    return true;
  };
  const { method } = request;
  if (method === 'OPTIONS') return say(204, '', { allow: METHODS });
  if (method !== 'GET' && method !== 'POST' && method !== 'HEAD') return say(405, '', { allow: METHODS });
  if (path === '/ping' || path === '/ping/' || path === '/replicas_status') return say(200, 'Ok.\n');
  if (path !== '/')
    return say(404, `There is no handle ${JSON.stringify(path.slice(0, 100))}\nUse / or /ping.\n`);
  if (method === 'HEAD') return say(200, '');
  if (method === 'GET' && !new URLSearchParams(query).has('query')) return say(200, 'Ok.\n');
  return false;
}

/** One answer, from its headers to its end. */
class Telling {
  readonly outcome: Outcome = { format: undefined, rows: undefined, rename: (text) => text };
  /** Told only to those who have a key. */
  version: string | undefined;
  queryId: string;
  readonly #tag: string;
  readonly #deps: ClickhouseDoorDeps;
  readonly #startedMs: number;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  #encoding = encodingFor('no', undefined);
  #timezone: string | undefined;

  constructor(deps: ClickhouseDoorDeps, request: IncomingMessage, response: ServerResponse) {
    this.#deps = deps;
    this.request = request;
    this.response = response;
    this.#startedMs = deps.clock.monotonicMs();
    const id = deps.ids.uuidV7(deps.clock.now());
    this.queryId = stringify(id);
    this.#tag = Buffer.from(id.subarray(8)).toString('hex');
  }

  begin(read: ClickhouseRequest, timezone: string): void {
    if (read.queryId !== undefined && /^[\w.:-]{1,128}$/.test(read.queryId)) this.queryId = read.queryId;
    this.#encoding = encodingFor(read.compress, this.request.headers['accept-encoding']);
    // Before the settings were looked at: what is no zone may hold anything, and is refused there.
    this.#timezone = zoneName(read.settings.get('session_timezone') ?? timezone);
  }

  async sendWhole(body: Buffer): Promise<void> {
    const encoded = body.length === 0 ? body : Buffer.concat(await allOf(this.#encoding.encode(oneOf(body))));
    const { rows } = this.outcome;
    const summary = {
      ...(rows === undefined ? {} : { result_rows: String(rows) }),
      result_bytes: String(body.length),
      ...{ written_rows: '0', written_bytes: '0' },
      elapsed_ns: String(Math.round((this.#deps.clock.monotonicMs() - this.#startedMs) * 1e6)),
    };
    this.response.writeHead(200, {
      ...this.#headers(),
      ...this.#encodingHeaders(),
      'x-clickhouse-summary': JSON.stringify(summary),
      'content-length': encoded.length,
    });
    this.response.end(encoded);
  }

  /** Gives what went wrong behind the head, unless the client only went away. */
  sendLong(
    pieces: AsyncGenerator<Uint8Array, void, void>,
    timeoutMs: number,
  ): Promise<MillraceError | undefined> {
    let isTold = !this.#encoding.isPlain;
    // Within the encoding: there is no place for plain words behind it.
    const told = async function* (this: Telling): AsyncGenerator<Uint8Array, void, void> {
      try {
        yield* pieces;
      } catch (error) {
        isTold = true;
        yield Buffer.from(this.#lastWords(error));
        throw error;
      }
    }.bind(this);
    return sendLong(
      { begun: [], rest: this.#encoding.encode(told()) },
      {
        response: this.response,
        headers: { ...this.#headers(), ...this.#encodingHeaders(), 'x-clickhouse-exception-tag': this.#tag },
        lastWords: (error) => (isTold ? '' : this.#lastWords(error)),
        clock: this.#deps.clock,
        timeoutMs,
        asError: toMillraceError,
      },
    );
  }

  #lastWords(thrown: unknown): string {
    return exceptionBlock(textOfException(this.#exceptionOf(thrown), this.version), this.#tag);
  }

  #exceptionOf(thrown: unknown): ReturnType<typeof exceptionOf> {
    return exceptionOf(thrown instanceof Refusal ? thrown : toMillraceError(thrown), this.outcome.rename);
  }

  refuse(thrown: unknown): void {
    const { request, response } = this;
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const exception = this.#exceptionOf(thrown);
    if (!(thrown instanceof Refusal) && toMillraceError(thrown).code === 'internal') {
      this.#deps.logger.error({ err: thrown, queryId: this.queryId, route: ROUTE }, 'a request failed');
    }
    const body = Buffer.from(`${textOfException(exception, this.version)}\n`);
    if (!request.complete || this.#deps.isStopping()) response.shouldKeepAlive = false;
    const { retryAfterSeconds } = exception;
    response.writeHead(exception.status, {
      ...this.#headers(),
      'content-type': TEXT,
      'content-length': body.length,
      'x-clickhouse-exception-code': String(exception.code),
      ...(exception.status === 401 ? { 'www-authenticate': 'Basic realm="millrace", charset="UTF-8"' } : {}),
      ...(retryAfterSeconds === undefined
        ? {}
        : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterSeconds))) }),
    });
    response.end(body);
    request.resume();
  }

  #headers(): Record<string, string> {
    const { format } = this.outcome;
    return {
      'content-type': format?.media ?? TEXT,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-clickhouse-query-id': this.queryId,
      'x-clickhouse-server-display-name': DISPLAY_NAME,
      ...(format === undefined ? {} : { 'x-clickhouse-format': format.name }),
      ...(this.#timezone === undefined ? {} : { 'x-clickhouse-timezone': this.#timezone }),
    };
  }

  #encodingHeaders(): Record<string, string> {
    const { header } = this.#encoding;
    return header === undefined ? {} : { 'content-encoding': header, vary: 'accept-encoding' };
  }
}

async function* oneOf(body: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield body;
}

async function allOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}
