import { type Clock, systemClock } from '../base/clock.ts';
import { type Ids, systemIds } from '../base/ids.ts';
import type { EventOf, StreamDefinition } from '../define/index.ts';
import type { Batch } from './batch.ts';
import { type PutOptions, putDefinition, versionOf } from './definitions.ts';
import { DeliveriesClient, WebhooksClient } from './deliveries.ts';
import { toJson } from './json.ts';
import { KeysClient } from './keys.ts';
import type { DuplicatesPage, LedgerOfBatch, LedgerPage, LedgerQuestion, PageQuestion } from './ledger.ts';
import { follow, type LiveOptions } from './live.ts';
import { pathOf, queryOf, queryText } from './query.ts';
import type { ReconcileQuestion } from './reconcile.ts';
import { ReportsClient } from './reports.ts';
import type { RetryPolicy } from './retry.ts';
import { Sender } from './send-events.ts';
import { askSql, type SqlOptions, type SqlPieces, type SqlStreamOptions, streamSql } from './sql.ts';
import { StreamClient } from './stream-client.ts';
import { TablesClient } from './tables.ts';
import { TenantsClient } from './tenants.ts';
import { type Fetch, Transport } from './transport.ts';
import { TriggersClient } from './triggers.ts';
import type {
  Accepted,
  BatchOptions,
  Change,
  CountQuestion,
  Definition,
  EventsPage,
  EventsQuestion,
  HeartbeatAnswer,
  Integer,
  LatePage,
  LateQuestion,
  LateReplayRequest,
  LiveMessage,
  ManyOptions,
  Project,
  QuarantineForecast,
  QuarantinePage,
  QuarantineQuestion,
  QuarantineReplayRequest,
  RowOf,
  RunInfo,
  SendOptions,
  StatsAnswer,
  StatsQuestion,
  StreamInfo,
  StreamReplayRequest,
} from './types.ts';

export interface ClientOptions {
  /** Address of the server: `http://127.0.0.1:7070`. */
  readonly url: string;
  readonly key?: string | undefined;
  /** For which tenant the key of the installation acts; other keys have one of their own. */
  readonly tenant?: string | undefined;
  readonly retry?: Partial<RetryPolicy>;
  readonly fetch?: Fetch;
  /** Handed in by tests and simulations. */
  readonly clock?: Clock;
  readonly ids?: Ids;
  /** Numbers in [0, 1) that spread out repeated tries. */
  readonly random?: () => number;
}

/**
 * Talks to a Millrace server, from Node and from browsers.
 *
 * Requests are tried again after 429, 503 and broken connections, with growing pauses and as the server asks
 * (`Retry-After`), within the retry policy. Events keep their ids from try to try, so that the server counts
 * each once. Everything fails with `MillraceRequestError`, or with the signal's reason.
 *
 * @example
 * const client = createClient({ url: 'http://127.0.0.1:7070', key });
 * await client.processEvents('orders', orders);
 * await client.getCount('orders', { from: '-1h' }); // 1290
 */
export function createClient(options: ClientOptions): MillraceClient {
  const clock = options.clock ?? systemClock;
  const ids = options.ids ?? systemIds;
  const transport = new Transport({
    url: options.url,
    key: options.key,
    tenant: options.tenant,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    clock,
    random: options.random ?? (() => randomOf(ids, clock)),
    retry: options.retry ?? {},
  });
  return new MillraceClient(transport, ids);
}

/** The last 32 bits of a fresh UUID are random. */
function randomOf(ids: Ids, clock: Clock): number {
  const bytes = ids.uuidV7(clock.now());
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(12) / 2 ** 32;
}

export class MillraceClient {
  readonly #transport: Transport;
  readonly #sender: Sender;
  readonly tenants: TenantsClient;
  readonly tables: TablesClient;
  readonly keys: KeysClient;
  readonly triggers: TriggersClient;
  readonly reports: ReportsClient;
  readonly webhooks: WebhooksClient;
  readonly deliveries: DeliveriesClient;

  /** Use `createClient`. */
  constructor(transport: Transport, ids: Ids) {
    this.#transport = transport;
    this.keys = new KeysClient(transport);
    this.triggers = new TriggersClient(transport);
    this.reports = new ReportsClient(transport);
    this.webhooks = new WebhooksClient(transport);
    this.deliveries = new DeliveriesClient(transport);
    this.#sender = new Sender(transport, ids);
    this.tenants = new TenantsClient(transport);
    this.tables = new TablesClient(transport);
  }

  /** The same client for one stream, with the types of its definition. */
  for<S extends StreamDefinition>(definition: S): StreamClient<EventOf<S> & object> {
    return new StreamClient(this, definition);
  }

  /** Counts that something happened: `countEvent('signups')`. */
  countEvent(stream: string, event: object = {}, options: SendOptions = {}): Promise<Accepted> {
    return this.#sender.one(stream, event, options);
  }

  /** Sends one event. A rejected event is an outcome (`rejected: 1`), not an exception. */
  processEvent(stream: string, event: object, options: SendOptions = {}): Promise<Accepted> {
    return this.#sender.one(stream, event, options);
  }

  /**
   * Sends any number of events in batches. Takes no more events from `events` while `concurrency` batches wait
   * for their answers. bigint values are sent as digits, dates as RFC 3339.
   *
   * @example
   * const { accepted, rejected } = await client.processEvents('orders', readOrders(), { ack: 'stored' });
   */
  processEvents(
    stream: string,
    events: Iterable<object> | AsyncIterable<object>,
    options: ManyOptions = {},
  ): Promise<Accepted> {
    return this.#sender.many(stream, events, options);
  }

  /** Sends bodies of NDJSON that are ready; every event in them must carry what identifies it. */
  processBatches(
    stream: string,
    batches: Iterable<Batch> | AsyncIterable<Batch>,
    options: BatchOptions = {},
  ): Promise<Accepted> {
    return this.#sender.batches(stream, batches, options);
  }

  /** How many events; a bigint beyond 2^53. */
  async getCount(stream: string, question: CountQuestion = {}): Promise<Integer> {
    const answer = await this.getStats(stream, { ...question, fn: 'count' });
    return answer.rows[0]?.count ?? 0;
  }

  /**
   * @example
   * const { rows } = await client.getStats('orders', { fn: ['count', 'sum(amount)'], by: 'country', every: '1d' });
   * // [{ time: '2026-01-01T00:00:00.000Z', country: 'DE', count: 2, 'sum(amount)': '39.98' }, …]
   */
  async getStats<const Q extends StatsQuestion = { fn: 'count' }>(
    stream: string,
    question?: Q,
  ): Promise<StatsAnswer<RowOf<Q>>> {
    const path = pathOf('streams', stream, 'stats') + queryOf(question ?? {});
    return (await this.#transport.get(path, question?.signal)) as StatsAnswer<RowOf<Q>>;
  }

  /** Stored events, newest first, a page at a time. */
  async events(stream: string, question: EventsQuestion = {}): Promise<EventsPage> {
    return (await this.#transport.get(
      pathOf('streams', stream, 'events') + queryOf(question),
      question.signal,
    )) as EventsPage;
  }

  /**
   * What was accepted and what became of it, by time of arrival; with `batch`, the receipt of an answer, what became
   * of exactly those records.
   *
   * @example
   * (await client.ledger('orders', { every: '1h', from: '-1d' })).balanced; // true
   */
  ledger(
    stream: string,
    question: { readonly batch: string; readonly signal?: AbortSignal | undefined },
  ): Promise<LedgerOfBatch>;
  ledger(stream: string, question?: LedgerQuestion): Promise<LedgerPage>;
  async ledger(
    stream: string,
    question: LedgerQuestion & { readonly batch?: string } = {},
  ): Promise<LedgerOfBatch | LedgerPage> {
    const path = pathOf('streams', stream, 'ledger') + queryText(question);
    return (await this.#transport.get(path, question.signal)) as LedgerOfBatch | LedgerPage;
  }

  /**
   * Takes note of mismatches in a range of arrival that cannot be repaired: their marks go, and retention no longer waits
   * for them. Resolves with how many rows they are.
   */
  async acknowledgeLedger(
    stream: string,
    range: { readonly from: string; readonly to: string; readonly partition?: number | undefined },
  ): Promise<number> {
    const answer = await this.#start(pathOf('streams', stream, 'ledger', 'acknowledge'), range);
    return (answer as { readonly acknowledged: number }).acknowledged;
  }

  /** Arrivals that were not counted because their id was stored before, newest first, a page at a time. */
  async duplicates(stream: string, question: PageQuestion = {}): Promise<DuplicatesPage> {
    const path = pathOf('streams', stream, 'duplicates') + queryText(question);
    return (await this.#transport.get(path, question.signal)) as DuplicatesPage;
  }

  /** What the server sends as it happens. Comes back after a broken connection and goes on where it was. */
  live(stream: string, options: LiveOptions = {}): AsyncGenerator<LiveMessage> {
    return follow(this.#transport, stream, options);
  }

  async streams(signal?: AbortSignal): Promise<readonly StreamInfo[]> {
    return (
      (await this.#transport.get(pathOf('streams'), signal)) as { readonly streams: readonly StreamInfo[] }
    ).streams;
  }

  /** Makes or changes a stream from its JSON document. */
  putStream(name: string, document: object, options: PutOptions = {}): Promise<Definition> {
    return putDefinition(this.#transport, 'streams', name, document, options);
  }

  putRollup(name: string, document: object, options: PutOptions = {}): Promise<Definition> {
    return putDefinition(this.#transport, 'rollups', name, document, options);
  }

  /** Makes or changes any definition from its JSON document. */
  put(kind: Change['kind'], name: string, document: object, options: PutOptions = {}): Promise<Definition> {
    return putDefinition(this.#transport, `${kind}s`, name, document, options);
  }

  /** Removes a definition and what is its own. Fails while something else stands on it. */
  async remove(kind: Change['kind'], name: string): Promise<void> {
    const path = pathOf(`${kind}s`, name);
    await this.#transport.send({ method: 'DELETE', path, repeatable: 'refused' });
  }

  /** The version of a definition that stands; undefined when there is none. */
  async version(kind: Change['kind'], name: string): Promise<number | undefined> {
    try {
      const answer = await this.#transport.send({
        method: 'GET',
        path: pathOf(`${kind}s`, name),
        repeatable: 'safe',
      });
      return versionOf(answer.headers);
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** What applying the documents of a project would do. Changes nothing. */
  async plan(project: Partial<Project>): Promise<readonly Change[]> {
    const answer = await this.#transport.json({
      method: 'POST',
      path: pathOf('plan'),
      body: JSON.stringify(project),
      headers: { 'content-type': 'application/json' },
      repeatable: 'safe',
    });
    return (answer as { readonly changes: readonly Change[] }).changes;
  }

  /** Long pieces of work (builds, replays, reconciliations), newest first. */
  async runs(
    filter: {
      readonly stream?: string | undefined;
      readonly kind?: string | undefined;
      readonly state?: string | undefined;
      readonly limit?: number | undefined;
    } = {},
  ): Promise<readonly RunInfo[]> {
    const answer = await this.#transport.get(pathOf('runs') + queryText(filter));
    return (answer as { readonly runs: readonly RunInfo[] }).runs;
  }

  async run(id: string): Promise<RunInfo> {
    return (await this.#transport.get(pathOf('runs', id))) as RunInfo;
  }

  /** Asks a run to end and to take back what it has begun. */
  async cancelRun(id: string): Promise<RunInfo> {
    return (await this.#transport.json({
      method: 'DELETE',
      path: pathOf('runs', id),
      repeatable: 'safe',
    })) as RunInfo;
  }

  /** Lines that could not be stored, newest arrival first. */
  async quarantine(stream: string, question: QuarantineQuestion = {}): Promise<QuarantinePage> {
    const path = pathOf('streams', stream, 'quarantine') + queryText(question);
    return (await this.#transport.get(path)) as QuarantinePage;
  }

  /** What came late, by event time, and what became of it. */
  async late(stream: string, question: LateQuestion = {}): Promise<LatePage> {
    return (await this.#transport.get(pathOf('streams', stream, 'late') + queryText(question))) as LatePage;
  }

  /** What `replayLate` would do; changes nothing. */
  async forecastLate(stream: string, request: LateReplayRequest = {}): Promise<QuarantineForecast> {
    const body = { ...request, dry_run: true };
    return (await this.#start(pathOf('streams', stream, 'late', 'replay'), body)) as QuarantineForecast;
  }

  /**
   * Takes in what was quarantined or dropped for lateness, each record once. Resolves with the run, ended or still going
   * after ten seconds.
   */
  async replayLate(stream: string, request: LateReplayRequest = {}): Promise<RunInfo> {
    return (await this.#start(pathOf('streams', stream, 'late', 'replay'), request)) as RunInfo;
  }

  /** Says that nothing older than `time` (default: now) will come, from one source or from the whole stream. */
  async heartbeat(
    stream: string,
    beat: { readonly time?: string | number; readonly source?: string } = {},
  ): Promise<HeartbeatAnswer> {
    return (await this.#start(pathOf('streams', stream, 'heartbeat'), beat)) as HeartbeatAnswer;
  }

  /** What `replayQuarantine` would do; changes nothing. */
  async forecastQuarantine(
    stream: string,
    request: QuarantineReplayRequest = {},
  ): Promise<QuarantineForecast> {
    return (await this.#start(pathOf('streams', stream, 'quarantine', 'replay'), {
      ...request,
      dry_run: true,
    })) as QuarantineForecast;
  }

  /** Takes quarantined lines in again. Resolves with the run, ended or still going after ten seconds. */
  async replayQuarantine(stream: string, request: QuarantineReplayRequest = {}): Promise<RunInfo> {
    return (await this.#start(pathOf('streams', stream, 'quarantine', 'replay'), request)) as RunInfo;
  }

  /**
   * Decides records of the stream's log again, under the definition that stands now, or builds one of its rollups once
   * more. Resolves with the run, ended or still going after so many seconds (default 10, at most 60).
   */
  async replay(stream: string, request: StreamReplayRequest = {}, waitSeconds = 10): Promise<RunInfo> {
    const path = `${pathOf('streams', stream, 'replay')}?wait=${waitSeconds}`;
    return (await this.#start(path, request)) as RunInfo;
  }

  /**
   * Holds log, tables and rollups of a stream against each other, and repairs them when asked to; the run's `result`
   * is a `ReconcileReport`. Resolves with the run, ended or still going after so many seconds (default 10, at most 60).
   *
   * @example
   * const run = await client.reconcile('orders', { repair: true });
   */
  async reconcile(stream: string, question: ReconcileQuestion = {}, waitSeconds = 10): Promise<RunInfo> {
    const path = `${pathOf('streams', stream, 'reconcile')}?wait=${waitSeconds}`;
    return (await this.#start(path, question)) as RunInfo;
  }

  /** The newest reconciliation that has ended. Fails with `not-found` when there is none. */
  async reconciliation(stream: string): Promise<RunInfo> {
    return (await this.#transport.get(pathOf('streams', stream, 'reconcile'))) as RunInfo;
  }

  /** Starts work on the server; it may be repeated, for what is done is not done twice. */
  #start(path: string, body: object): Promise<unknown> {
    return this.#transport.json({
      method: 'POST',
      path,
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      repeatable: 'refused',
      timeoutMs: 120_000,
    });
  }

  /** The answer of `POST /v1/sql` as text, in the format that was asked for. In JSON `meta` tells how fresh the rows are. */
  sql(query: string, options: SqlOptions = {}): Promise<string> {
    return askSql(this.#transport, query, options);
  }

  /**
   * The answer of `POST /v1/sql` in pieces, for answers that are better not held whole. Fails with
   * `MillraceRequestError` when the question is refused, and between pieces when the answer breaks off: what came until
   * then is no answer.
   *
   * @example
   * for await (const piece of await client.sqlStream('SELECT * FROM orders', { format: 'parquet' })) file.write(piece);
   */
  sqlStream(query: string, options: SqlStreamOptions): Promise<SqlPieces> {
    return streamSql(this.#transport, query, options);
  }

  /** Asks `/readyz`: resolves when the server is ready, with the time on its clock if it tells it. */
  async ready(signal?: AbortSignal): Promise<{ readonly serverTimeMs: number | undefined }> {
    const answer = await this.#transport.send({ method: 'GET', path: '/readyz', repeatable: 'safe', signal });
    const date = Date.parse(answer.headers.get('date') ?? '');
    return { serverTimeMs: Number.isNaN(date) ? undefined : date };
  }

  /**
   * Anything else of the API (`/openapi.json`): the answer read as JSON.
   *
   * @example
   * await client.request('GET', '/v1/triggers/alarm_rate/state');
   */
  request(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown> {
    return this.#transport.json({
      ...{ method, path, repeatable: method === 'POST' ? 'refused' : 'safe' },
      ...(body === undefined ? {} : { body: toJson(body), headers: { 'content-type': 'application/json' } }),
    });
  }
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof Error && (error as { readonly status?: unknown }).status === status;
}
