/** A question in SQL: guarded, then run by a guest over the tenant's own streams and rollups and nothing else. */
import type { Clock } from '../base/clock.ts';
import type { Catalog } from '../catalog/port.ts';
import { explainToAsker, guardQuestion, type Relation } from '../sql/index.ts';
import type { Pins } from '../stats/index.ts';
import { type Guest, type GuestLimits, quoteIdentifier } from '../store/index.ts';
import type { Principal } from '../tenants/index.ts';
import { type Column, columnsOf, type SqlFormat, writeAnswer } from './formats.ts';
import { relationOf } from './relations.ts';
import type { Visit, Work } from './visits.ts';

export interface SqlQuestion {
  readonly query: string;
  readonly params?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly format: SqlFormat;
}

/** A question of a report: of the events that a data version holds. */
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
) => AsyncGenerator<Uint8Array, void, void>;

export interface AskSqlParts {
  readonly visit: Visit;
  readonly catalog: Pick<Catalog, 'stream' | 'rollup' | 'object'>;
  /** Tells the moment that relative times in row filters begin at. */
  readonly clock: Pick<Clock, 'now'>;
}

export function createAskSql({ visit, catalog, clock }: AskSqlParts, limits: SqlLimits): AskSql {
  return async function* ask(principal, question, signal) {
    try {
      yield* visit(
        principal,
        guestLimits(limits, question.format),
        (guest) => answer(guest, (name) => relationOf(catalog, principal, name, clock.now()), question),
        signal,
      );
    } catch (error) {
      throw explainToAsker(error);
    }
  };
}

/**
 * Asks a question whose answer is kept, guarded as those of strangers are: blocks in the engine's format Native, behind a
 * call of `onColumns`. Fails as `AskSql` does.
 */
export async function* askPinnedSql(
  { visit, catalog }: Pick<AskSqlParts, 'visit' | 'catalog'>,
  principal: Principal,
  { query, params, pins, limits, signal }: PinnedSql,
  onColumns: (columns: readonly Column[]) => void,
): AsyncGenerator<Uint8Array, void, void> {
  // There is no row filter whose relative times would need the moment.
  const relation = (name: string) => relationOf(catalog, principal, name, 0, pins);
  const work: Work = async function* (guest) {
    const statement = { text: await guarded(guest, relation, query, params), params };
    onColumns(await columnsOf(guest, statement));
    yield* guest.stream(statement, 'Native');
  };
  try {
    yield* visit(principal, limits, work, signal);
  } catch (error) {
    throw explainToAsker(error);
  }
}

async function* answer(
  guest: Guest,
  relation: (name: string) => Relation | undefined,
  { query, params = {}, format }: SqlQuestion,
): AsyncGenerator<Uint8Array, void, void> {
  const text = await guarded(guest, relation, query, params);
  yield* writeAnswer(guest, { text, params }, format);
}

const guarded = (
  guest: Guest,
  relation: (name: string) => Relation | undefined,
  query: string,
  params: Readonly<Record<string, string | number | boolean>>,
): Promise<string> =>
  guardQuestion(
    {
      ask: async (text, bound) =>
        Buffer.from(await guest.query({ text, params: { ...bound } }, 'TSVRaw')).toString('utf8'),
      relation,
      quoteName: quoteIdentifier,
    },
    query,
    params,
  );

const guestLimits = (limits: SqlLimits, format: SqlFormat): GuestLimits => ({
  timeoutSeconds: limits.timeoutSeconds,
  memoryBytesMax: limits.memoryBytesMax,
  resultRowsMax: format === 'json' ? limits.jsonRowsMax : undefined,
  resultBytesMax: format === 'json' ? limits.jsonBytesMax : limits.bytesMax,
});
