/**
 * Many point questions become few statements. One that comes while nothing of its shape is under way goes at once; those
 * that come meanwhile wait for it and then go together, in one statement that groups by the value they look up.
 *
 *   asked ─▶ alone, at once ─┐
 *   asked ─▶ waits ──────────┴─▶ together: … WHERE dim IN (…) GROUP BY dim ─▶ each its own rows
 *   asked ─▶ waits ──────────┘
 *
 * What a statement reads is read after each of its questions was asked.
 */
import { LRUCache } from 'lru-cache';
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Engine } from '../store/index.ts';
import type { EngineRow } from './answer.ts';
import { askEngine } from './ask-engine.ts';
import { apart, type Lookup, lookupOf, ofNothing, together } from './lookup.ts';
import type { PreparedQuestion } from './prepare.ts';

export interface LookupsState {
  /** Questions that were answered together with others. */
  readonly batched: number;
  /** Statements that answered them. */
  readonly statements: number;
}

interface Waiter {
  readonly lookup: Lookup;
  /** Nobody waits for the rows any more. */
  left: boolean;
  /** Told to the statement that is under way. */
  onLeave: (() => void) | undefined;
  resolve(rows: readonly EngineRow[]): void;
  reject(error: unknown): void;
}

interface Group {
  waiting: Waiter[];
}

const VALUES_MAX = 1_000;
const ROWS_MAX = 100_000;
/**
 * Of all tenants; more are told to come later. A tenant may have as many waiting as there are places left, so one alone
 * gets half of them, and the next one still finds some.
 */
const WAITING_MAX = 20_000;
const EMPTY_ROWS_KEPT = 500;

export class Lookups {
  readonly #engine: Pick<Engine, 'query'>;
  readonly #groups = new Map<string, Group>();
  readonly #empty = new LRUCache<string, readonly EngineRow[]>({ max: EMPTY_ROWS_KEPT });
  readonly #waitingMax: number;
  readonly #waitingOf = new Map<TenantId, number>();
  #waiting = 0;
  #batched = 0;
  #statements = 0;

  constructor(engine: Pick<Engine, 'query'>, { waitingMax = WAITING_MAX } = {}) {
    this.#engine = engine;
    this.#waitingMax = waitingMax;
  }

  get state(): LookupsState {
    return { batched: this.#batched, statements: this.#statements };
  }

  /** The rows of the prepared question; fails as the engine does, and with `too-busy` when too many wait. */
  ask(prepared: PreparedQuestion, signal: AbortSignal | undefined): Promise<readonly EngineRow[]> {
    const lookup = lookupOf(prepared);
    if (!lookup) return askEngine(this.#engine, prepared, signal);
    const group = this.#groups.get(lookup.shape);
    if (group) return this.#wait(group, lookup, signal);
    const own: Group = { waiting: [] };
    this.#groups.set(lookup.shape, own);
    const asked = askEngine(this.#engine, prepared, signal);
    const next = () => void this.#goOn(own, lookup.shape);
    asked.then(next, next);
    return asked;
  }

  #wait(group: Group, lookup: Lookup, signal: AbortSignal | undefined): Promise<readonly EngineRow[]> {
    const { tenant } = lookup.prepared;
    if ((this.#waitingOf.get(tenant) ?? 0) >= this.#waitingMax - this.#waiting) {
      throw new MillraceError('too-busy', 'too many questions are waiting; ask again later', {
        retryAfterSeconds: 1,
      });
    }
    this.#count(tenant, 1);
    return new Promise<readonly EngineRow[]>((resolve, reject) => {
      const waiter: Waiter = { lookup, left: false, onLeave: undefined, resolve, reject };
      const leave = () => {
        waiter.left = true;
        waiter.onLeave?.();
        reject(new MillraceError('query-timeout', 'nobody waits for the answer any more'));
      };
      if (signal?.aborted) leave();
      signal?.addEventListener('abort', leave, { once: true });
      const settle = () => signal?.removeEventListener('abort', leave);
      waiter.resolve = (rows) => {
        settle();
        resolve(rows);
      };
      waiter.reject = (error) => {
        settle();
        reject(error);
      };
      group.waiting.push(waiter);
    });
  }

  #count(tenant: TenantId, change: number): void {
    this.#waiting += change;
    const own = (this.#waitingOf.get(tenant) ?? 0) + change;
    if (own > 0) this.#waitingOf.set(tenant, own);
    else this.#waitingOf.delete(tenant);
  }

  /** One statement after the other until nobody waits. */
  async #goOn(group: Group, shape: string): Promise<void> {
    for (;;) {
      const waiters = group.waiting;
      if (waiters.length === 0) {
        this.#groups.delete(shape);
        return;
      }
      const most = Math.min(
        VALUES_MAX,
        Math.floor(ROWS_MAX / Math.max(1, waiters[0]!.lookup.prepared.starts.length)),
      );
      const some = waiters.slice(0, Math.max(1, most));
      group.waiting = waiters.slice(some.length);
      this.#count(some[0]!.lookup.prepared.tenant, -some.length);
      await this.#answer(some.filter(({ left }) => !left));
    }
  }

  /** Never rejects. */
  async #answer(waiters: readonly Waiter[]): Promise<void> {
    if (waiters.length === 0) return;
    const end = new AbortController();
    for (const one of waiters) {
      one.onLeave = () => {
        if (waiters.every(({ left }) => left)) end.abort();
      };
    }
    try {
      const rows = await this.#rowsOf(
        waiters.map(({ lookup }) => lookup),
        end.signal,
      );
      for (const { lookup, resolve } of waiters) resolve(rows(lookup));
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : undefined;
      // Together they may need more than a question may: each half, down to one alone.
      if (waiters.length > 1 && (code === 'bad-question' || code === 'query-timeout')) {
        const half = Math.ceil(waiters.length / 2);
        await this.#answer(waiters.slice(0, half).filter(({ left }) => !left));
        await this.#answer(waiters.slice(half).filter(({ left }) => !left));
      } else for (const { reject } of waiters) reject(error);
    }
  }

  async #rowsOf(
    lookups: readonly Lookup[],
    end: AbortSignal,
  ): Promise<(lookup: Lookup) => readonly EngineRow[]> {
    const [first] = lookups as [Lookup, ...Lookup[]];
    const different = [...new Map(lookups.map((lookup) => [lookup.value, lookup])).values()];
    if (different.length === 1) {
      const rows = await askEngine(this.#engine, first.prepared, end);
      return () => rows;
    }
    const isSeries = first.prepared.question.every !== undefined;
    const question = together(different);
    const limit = different.length;
    const asked = isSeries ? question : { ...question, question: { ...question.question, limit } };
    this.#batched += lookups.length;
    this.#statements += 1;
    const found = apart(await askEngine(this.#engine, asked, end), isSeries);
    const empty = isSeries || found.size === limit ? [] : await this.#emptyRows(first, end);
    return ({ value }) => found.get(value) ?? empty;
  }

  /** A total of nothing has a row too: that of the engine, which depends on the functions alone. */
  async #emptyRows(lookup: Lookup, end: AbortSignal): Promise<readonly EngineRow[]> {
    const { tenant, question, plan } = lookup.prepared;
    const key = JSON.stringify([
      tenant,
      ...[plan.rollup!.definition.name, plan.rollup!.version],
      question.functions.map(({ name }) => name),
    ]);
    const known = this.#empty.get(key);
    if (known) return known;
    const rows = await askEngine(this.#engine, ofNothing(lookup), end);
    this.#empty.set(key, rows);
    return rows;
  }
}
