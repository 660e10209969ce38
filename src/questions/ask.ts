/** A question in SQL: guarded, then run by a guest over the tenant's own streams and rollups and nothing else. */
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import {
  explainToAsker,
  type Guarded,
  type Reading,
  type Relation,
  readAndGuard,
  readQuestion,
} from '../sql/index.ts';
import type { Pins } from '../stats/index.ts';
import { type Guest, type GuestLimits, quoteIdentifier } from '../store/index.ts';
import type { Principal } from '../tenants/index.ts';
import { type Column, columnsOf, type SqlFormat, writeAnswer } from './formats.ts';
import { type FreshnessParts, freshnessOfAll, type SqlFreshness } from './freshness.ts';
import { dependsOnOrder, withTotalOrder } from './one-order.ts';
import { relationOf } from './relations.ts';
import type { Visit, Work } from './visits.ts';

export interface SqlQuestion {
  readonly query: string;
  readonly params?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly format: SqlFormat;
}

/** A question of a report: of what a data version holds. */
export interface PinnedSql {
  readonly query: string;
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly pins: Pins;
  readonly limits: GuestLimits;
  readonly signal?: AbortSignal | undefined;
}

export interface SqlLimits {
  /** Of a question; the time in which its answer is fetched counts. */
  readonly timeoutSeconds: number;
  readonly memoryBytesMax: number;
  /** `json` is made for people and pages; the other formats are made for programs and have only the bound in bytes. */
  readonly jsonRowsMax: number;
  readonly jsonBytesMax: number;
  readonly bytesMax: number;
}

export const SQL_LIMITS: SqlLimits = {
  timeoutSeconds: 30,
  memoryBytesMax: 2 ** 30,
  jsonRowsMax: 100_000,
  jsonBytesMax: 2 ** 26,
  bytesMax: 2 ** 30,
};

/**
 * The answer in pieces. What is wrong with the question fails before the first piece with `bad-question`, `too-busy` or
 * `query-timeout`; an answer that outgrows its limits fails there or between pieces. Who stops taking ends the question.
 */
export type AskSql = (
  principal: Principal,
  question: SqlQuestion,
  signal?: AbortSignal,
  /** Told before the first piece. */
  onFreshness?: (freshness: SqlFreshness) => void,
) => AsyncGenerator<Uint8Array, void, void>;

export interface AskSqlParts extends FreshnessParts {
  readonly visit: Visit;
  readonly catalog: Pick<Catalog, 'stream' | 'rollup' | 'object'>;
  /** Tells the moment that relative times in row filters begin at. */
  readonly clock: Pick<Clock, 'now'>;
}

export function createAskSql(parts: AskSqlParts, limits: SqlLimits): AskSql {
  const { visit, catalog, clock } = parts;
  return async function* ask(principal, question, signal, onFreshness) {
    const relation = (name: string) => relationOf(catalog, principal, name, clock.now());
    const { query, params = {}, format } = question;
    const work: Work = async function* (guest) {
      const { statement, relations } = await guarded(guest, relation, query, params);
      // Names that the question made itself may be those of streams that the key does not see.
      const read = [...relations].filter((name) => relation(name) !== undefined);
      const freshness = freshnessOfAll(parts, principal, read, clock.now());
      onFreshness?.(freshness);
      yield* writeAnswer(guest, { text: statement, params }, format, freshness);
    };
    try {
      yield* visit(principal, guestLimits(limits, format), work, signal);
    } catch (error) {
      throw explainToAsker(error);
    }
  };
}

/** They tell another moment each time; the parameters of the period stand for them. */
const MOMENTS: Readonly<Record<string, string>> = {
  now: '{to:DateTime}',
  now64: '{to:DateTime64(3)}',
  today: 'toDate({to:DateTime})',
  yesterday: 'toDate({to:DateTime}) - 1',
};
const refuseMoments = (name: string): string | undefined =>
  Object.hasOwn(MOMENTS, name)
    ? `${name}() is another moment in every run, and the answer could not be computed again; write ${MOMENTS[name]}, by the end of the period`
    : undefined;

/** Texts of moments mean the same on every machine. */
const SETTINGS = { session_timezone: 'UTC' };
/** Also the blocks in which sorted rows come are the same, whatever parts they lie in. */
const IN_ONE_ORDER = { ...SETTINGS, optimize_read_in_order: 0 };

/**
 * Reads questions of a report without asking them: their words, their functions, what they name. Each becomes its reading, or
 * what is wrong with it (`bad-question`). Fails when nobody can tell now.
 */
export async function readPinnedSql(
  { visit }: Pick<AskSqlParts, 'visit'>,
  principal: Principal,
  queries: readonly string[],
  { params, limits }: Pick<PinnedSql, 'params' | 'limits'>,
): Promise<readonly (Reading | MillraceError)[]> {
  const found: (Reading | MillraceError)[] = [];
  const work: Work = async function* (guest) {
    const parts = { ask: askOf(guest), refuse: refuseMoments };
    for (const query of queries) {
      try {
        found.push(await readQuestion(parts, query, params, () => true));
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'bad-question') throw error;
        found.push(error);
      }
    }
  };
  try {
    for await (const _ of visit(principal, limits, work));
  } catch (error) {
    throw explainToAsker(error);
  }
  return found;
}

/**
 * Asks a question whose answer is kept, guarded as those of strangers are: blocks in the engine's format Native, behind a
 * call of `onColumns`. The same question of the same pins has the same rows in the same order. Fails as `AskSql` does, and
 * with `bad-question` when it asks for the present moment.
 */
export async function* askPinnedSql(
  { visit, catalog }: Pick<AskSqlParts, 'visit' | 'catalog'>,
  principal: Principal,
  { query, params, pins, limits, signal }: PinnedSql,
  onColumns: (columns: readonly Column[]) => void,
): AsyncGenerator<Uint8Array, void, void> {
  // There is no row filter whose relative times would need the moment.
  const relation = (isOrdered: boolean) => (name: string) =>
    relationOf(catalog, principal, name, 0, { pins, isOrdered });
  const work: Work = async function* (guest, another) {
    const read = await guarded(guest, relation(false), query, params, refuseMoments);
    const columns = await columnsOf(guest, { text: read.statement, params });
    const isOrdered = dependsOnOrder(read);
    const asker = isOrdered ? another({ ...limits, settings: IN_ONE_ORDER }) : guest;
    const ordered = withTotalOrder(read.canonical, columns.length);
    const { statement } = await guarded(asker, relation(isOrdered), ordered, params, refuseMoments);
    onColumns(columns);
    yield* asker.stream({ text: statement, params }, 'Native');
  };
  try {
    yield* visit(principal, { ...limits, settings: SETTINGS }, work, signal);
  } catch (error) {
    throw explainToAsker(error);
  }
}

const guarded = (
  guest: Guest,
  relation: (name: string) => Relation | undefined,
  query: string,
  params: Readonly<Record<string, string | number | boolean>>,
  refuse?: (name: string) => string | undefined,
): Promise<Guarded> =>
  readAndGuard({ ask: askOf(guest), relation, quoteName: quoteIdentifier, refuse }, query, params);

const askOf =
  (guest: Guest) =>
  async (text: string, bound: object): Promise<string> =>
    Buffer.from(await guest.query({ text, params: { ...bound } }, 'TSVRaw')).toString('utf8');

const guestLimits = (limits: SqlLimits, format: SqlFormat): GuestLimits => ({
  timeoutSeconds: limits.timeoutSeconds,
  memoryBytesMax: limits.memoryBytesMax,
  resultRowsMax: format === 'json' ? limits.jsonRowsMax : undefined,
  resultBytesMax: format === 'json' ? limits.jsonBytesMax : limits.bytesMax,
});
