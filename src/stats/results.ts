/**
 * Answers that were given before, for those who ask again.
 *
 *   ready    an answer at hand that is exact, or not older than `max_age`: no statement, not even a plan
 *   answer   else: an equal question that is being computed is joined; else the shared cache is asked (only when some
 *            staleness is tolerated: what another process computed is never known to be exact); else it is computed
 *
 * Exact means: nothing was applied to the stream, and nothing else changed its tables, since before it was computed
 * (`Ingest.state`, `Ingest.contents`), and the question still means the same rows (same-until.ts). So an answer is never
 * older than promised: with `max_age=0` it holds all that is applied, with `max_age=N` all that was applied N seconds ago.
 */
import type { StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Holding, TenantPart } from '../base/tenant-part.ts';
import type { CacheKey, Caches } from '../cache/index.ts';
import type { Catalog, Versioned } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { Dimensions } from '../tables/port.ts';
import type { LateArrivals, Watermarks } from '../watermarks/index.ts';
import {
  ANSWER_FORMAT,
  type Asked,
  type CachedAnswer,
  metaNow,
  standingOf,
  type Told,
} from './cached-answer.ts';
import { finalityOf, standingAt } from './finality.ts';
import { Flights } from './flights.ts';
import { freshnessOf } from './freshness.ts';
import { tablesNamed } from './joins.ts';
import { parseMaxAge, type Question } from './parse.ts';
import type { StatsAnswer, StatsRequest } from './port.ts';
import { sameUntil } from './same-until.ts';
import { formatMoment } from './time.ts';

export interface ResultsOptions {
  readonly caches: Caches<CachedAnswer>;
  readonly catalog: Pick<Catalog, 'stream' | 'rollups'>;
  readonly log: Pick<Log, 'state'>;
  readonly ingest: Pick<Ingest, 'state' | 'contents'>;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  /** Absent: there are no dimension tables. */
  readonly tables?: Dimensions | undefined;
  readonly watermarks?: Pick<Watermarks & LateArrivals, 'of' | 'late' | 'duplicates'>;
  /** A name that no other process has, nor this one after a restart. */
  readonly process: string;
}

/** Since the process began, but for `bytes` and `entries`. */
export interface ResultsState {
  readonly exact: number;
  readonly aged: number;
  readonly missed: number;
  /** Joined a computation that was under way. */
  readonly shared: number;
  readonly bytes: number;
  readonly entries: number;
  readonly evicted: number;
  readonly sharedCacheFailures: number;
}

/** A question at the moment at which it is asked. */
export interface AskedQuestion extends Asked {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly request: StatsRequest;
  readonly key: CacheKey;
  /** How many erasures there were before: what was asked before a tenant was erased is not kept. */
  readonly erasures: number;
}

/** A flight's question, as one that another may join. */
type FlightFacts = Pick<
  CachedAnswer,
  'state' | 'process' | 'computedMonotonicMs' | 'askedAtMs' | 'sameUntilMs'
>;

/** Longer than this nobody tolerates, and nothing is exact in a stream that lives. */
const KEPT_MS = 3_600_000;

export class Results {
  readonly #options: ResultsOptions;
  readonly #flights = new Flights<FlightFacts, CachedAnswer>();
  #counts = { exact: 0, aged: 0, missed: 0, shared: 0 };
  #erasures = 0;

  constructor(options: ResultsOptions) {
    this.#options = options;
  }

  /** Undefined when there is no such stream: nothing is cached about it. */
  asked(tenant: TenantId, streamName: string, request: StatsRequest): AskedQuestion | undefined {
    const { catalog, clock, tables } = this.#options;
    const stream = catalog.stream(tenant, streamName);
    if (!stream) return undefined;
    return {
      tenant,
      stream: stream.definition,
      request,
      erasures: this.#erasures,
      key: keyOf(tenant, stream, catalog, tables, request),
      process: this.#options.process,
      state: this.#stateOf(tenant, stream.definition, request),
      monotonicMs: clock.monotonicMs(),
      nowMs: clock.now(),
      maxAgeMs: parseMaxAge(request.max_age),
    };
  }

  ready(asked: AskedQuestion): StatsAnswer | undefined {
    // A mistake is told whether or not there is an answer.
    if (Number.isNaN(asked.maxAgeMs)) return undefined;
    const kept = this.#options.caches.near.get(asked.key);
    return kept && this.#serve(kept, asked);
  }

  async answer(
    asked: AskedQuestion,
    question: Question,
    compute: (signal: AbortSignal) => Promise<StatsAnswer>,
    signal: AbortSignal | undefined,
  ): Promise<StatsAnswer> {
    const { tenant, key } = asked;
    const name = JSON.stringify(key);
    const under = this.#flights.find(tenant, name);
    if (under) {
      const standing = standingOf(under.facts as CachedAnswer, asked);
      if (standing) {
        const told = this.#goodness(asked);
        this.#counts.shared += 1;
        const kept = await this.#flights.join(tenant, name, under, signal);
        if (standing === 'aged') return this.#told(kept, asked, 'aged');
        // It was computed for this caller as much as for the first.
        const to = kept.endsNow ? formatMoment(asked.nowMs) : kept.answer.meta.to;
        return {
          ...kept.answer,
          meta: { ...kept.answer.meta, ...told(kept), to, elapsed_ms: this.#since(asked) },
        };
      }
    }
    const facts: FlightFacts = {
      process: asked.process,
      state: asked.state,
      computedMonotonicMs: asked.monotonicMs,
      askedAtMs: asked.nowMs,
      sameUntilMs: sameUntil(
        asked.request,
        asked.stream,
        question,
        asked.nowMs,
        (table) => this.#options.tables?.definition(tenant, table)?.definition,
      ),
    };
    let isOurs = true;
    const flight = this.#flights.begin(tenant, name, facts, async (end) => {
      const known = await this.#fromShared(asked);
      if (known) {
        isOurs = false;
        return known;
      }
      const answer = await compute(end);
      const kept: CachedAnswer = { ...facts, ...endOf(answer, question, facts), answer };
      this.#keep(kept, asked);
      return kept;
    });
    const kept = await this.#flights.join(tenant, name, flight, signal);
    if (!isOurs) return this.#told(kept, asked, 'aged');
    this.#counts.missed += 1;
    return kept.answer;
  }

  get state(): ResultsState {
    const { near, shared } = this.#options.caches;
    const { bytes, entries, evicted } = near.state;
    return { ...this.#counts, bytes, entries, evicted, sharedCacheFailures: shared?.state.failures ?? 0 };
  }

  get part(): TenantPart {
    const { near, shared } = this.#options.caches;
    return {
      name: 'cache',
      holdings: async (tenant): Promise<readonly Holding[]> => [
        ...(await near.part.holdings(tenant)),
        ...((await shared?.part.holdings(tenant)) ?? []),
      ],
      erase: async (tenant) => {
        this.#erasures += 1;
        await near.part.erase(tenant);
        await shared?.part.erase(tenant);
      },
    };
  }

  async close(): Promise<void> {
    await this.#options.caches.near.close();
    await this.#options.caches.shared?.close();
  }

  #serve(kept: CachedAnswer, asked: AskedQuestion): StatsAnswer | undefined {
    const standing = standingOf(kept, asked);
    return standing && this.#told(kept, asked, standing);
  }

  #told(kept: CachedAnswer, asked: AskedQuestion, standing: 'exact' | 'aged'): StatsAnswer {
    this.#counts[standing] += 1;
    const meta = metaNow(kept, asked, standing, () => this.#goodness(asked)(kept), formatMoment);
    return { ...kept.answer, meta: { ...meta, elapsed_ms: this.#since(asked) } };
  }

  async #fromShared(asked: AskedQuestion): Promise<CachedAnswer | undefined> {
    const { near, shared } = this.#options.caches;
    if (!shared || asked.maxAgeMs === 0) return undefined;
    const kept = await shared.get(asked.key);
    if (!kept || standingOf(kept, asked) === undefined) return undefined;
    if (asked.erasures === this.#erasures) near.set(asked.key, kept, KEPT_MS);
    return kept;
  }

  #keep(kept: CachedAnswer, { key, maxAgeMs, erasures }: AskedQuestion): void {
    if (erasures !== this.#erasures) return;
    const { near, shared } = this.#options.caches;
    // A question that is another one a millisecond later is worth keeping only for those who tolerate some age.
    const mayBeExact = kept.state !== undefined && kept.sameUntilMs > kept.askedAtMs + 1;
    if (mayBeExact || maxAgeMs > 0) near.set(key, kept, KEPT_MS);
    if (maxAgeMs > 0) shared?.set(key, kept, KEPT_MS);
  }

  /** What the stream's tables hold, as far as it can be told: the same text, the same rows. */
  #stateOf(tenant: TenantId, stream: StreamDefinition, request: StatsRequest): string | undefined {
    const { ingest, tables } = this.#options;
    const contents = ingest.contents(tenant, stream.name as StreamName);
    if (contents === undefined) return undefined;
    let state = `${contents}`;
    for (let partition = 0; partition < stream.partitions; partition += 1) {
      state += ` ${ingest.state({ tenant, stream: stream.name, partition }).applied}`;
    }
    if (!tables) return state;
    for (const name of tablesNamed(request)) {
      const rows = tables.contents(tenant, name);
      if (rows === undefined) return undefined;
      state += ` ${rows}`;
    }
    return state;
  }

  /** How good an answer is that holds what is applied now: taken at once, told of an answer later. */
  #goodness({ tenant, stream, nowMs, request }: AskedQuestion): (kept: CachedAnswer) => Told {
    const { log, ingest, watermarks } = this.#options;
    const freshness = freshnessOf(log, ingest, tenant, stream, nowMs);
    const standing = standingAt(watermarks, tenant, stream.name);
    return ({ answer: { meta }, endsNow }) => {
      const toMs = endsNow ? nowMs : Date.parse(meta.to);
      const range = { fromMs: Date.parse(meta.from), toMs };
      return { ...freshness, ...finalityOf(standing, range, request.rowFilter !== undefined) };
    };
  }

  #since({ monotonicMs }: AskedQuestion): number {
    return Math.round((this.#options.clock.monotonicMs() - monotonicMs) * 100) / 100;
  }
}

/** A series of everything ends with the last event, or now if that comes first: then its end moves, and it is another one. */
function endOf(
  { meta }: StatsAnswer,
  { openEnd, every, fromMs }: Question,
  { askedAtMs, sameUntilMs }: FlightFacts,
): Pick<CachedAnswer, 'endsNow' | 'sameUntilMs'> {
  const endsNow = openEnd && meta.to === formatMoment(askedAtMs);
  const moves = endsNow && every !== undefined && fromMs === undefined;
  return { endsNow, sameUntilMs: moves ? askedAtMs + 1 : sameUntilMs };
}

/**
 * The question as it was written, relative times and all, and the versions of the definitions that may answer. A name
 * that was removed and made again has another version, and in an erased tenant another date.
 */
function keyOf(
  tenant: TenantId,
  stream: Versioned<StreamDefinition>,
  catalog: Pick<Catalog, 'rollups'>,
  tables: Dimensions | undefined,
  request: StatsRequest,
): CacheKey {
  const { fn = [], from, to, every, tz, by, where = [], order, limit, rowFilter = [], asof } = request;
  const { name } = stream.definition;
  const versions: (string | number)[] = [stream.version, stream.updatedAtMs];
  for (const { definition, version, updatedAtMs } of catalog.rollups(tenant)) {
    if (definition.from === name) versions.push(definition.name, version, updatedAtMs);
  }
  for (const table of tables ? tablesNamed(request) : []) {
    const found = tables!.definition(tenant, table);
    versions.push(table, found?.version ?? 0, found?.updatedAtMs ?? 0);
  }
  // The order of conditions means nothing.
  const conditions = where.length > 1 ? [...where].sort() : where;
  // Answers for keys that see other rows are other answers.
  const question = [fn, from, to, every, tz, by, conditions, order, limit, rowFilter, asof].map((part) =>
    typeof part === 'string' ? part.trim() : (part ?? null),
  );
  return [tenant, ANSWER_FORMAT, name, JSON.stringify([question, versions])];
}
