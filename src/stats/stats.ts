/** Answers questions: prepare, ask once, fill, order. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition } from '../define/model.ts';
import type { HotReader } from '../hot/index.ts';
import type { Engine } from '../store/index.ts';
import { type EngineRow, seriesRows, totalRows } from './answer.ts';
import { askMemory } from './ask-memory.ts';
import { finalityOf } from './finality.ts';
import { Forms } from './forms.ts';
import { Lookups } from './lookups.ts';
import type { BegunQuestion, Stats, StatsAnswer, StatsRequest } from './port.ts';
import {
  type PreparedQuestion,
  type PrepareParts,
  prepareAtOnce,
  prepareQuestion,
  rollupsOf,
} from './prepare.ts';
import type { Results } from './results.ts';
import { formatMoment } from './time.ts';

export interface StatsOptions extends PrepareParts {
  readonly engine: Pick<Engine, 'query' | 'rows'>;
  /** Absent: every question is computed. */
  readonly results?: Results;
  /** Recent buckets in memory; absent: the engine answers everything. */
  readonly hot?: HotReader;
  /** Absent: its own. */
  readonly lookups?: Lookups;
}

/**
 * The numbers of a stream. Sums, counts, least and greatest values are exact; the same question has the same
 * answer whether a rollup or the events give it.
 *
 * @example
 * const stats = createStats({ engine, catalog, log, ingest, clock });
 * const answer = await stats.ask(tenant, 'clicks', { fn: ['count'], every: '1h', from: '-1d' });
 * answer.rowsJson; // [{"time":"2024-01-01T00:00:00.000Z","count":3},…
 */
export function createStats(options: StatsOptions): Stats {
  const { engine, catalog, clock, results, lookups = new Lookups(engine) } = options;
  const parts: PrepareParts = { forms: new Forms(), ...options };

  const isEmpty = ({ question, starts }: PreparedQuestion): boolean =>
    question.every !== undefined && starts.length === 0;

  /** Nothing happens between looking how far ingest is and the answer. */
  const rowsAtHand = (prepared: PreparedQuestion): readonly EngineRow[] | undefined =>
    isEmpty(prepared) ? [] : options.hot && askMemory(options.hot, options.ingest, prepared);

  const rowsOf = async (
    prepared: PreparedQuestion,
    signal: AbortSignal | undefined,
  ): Promise<readonly EngineRow[]> => (isEmpty(prepared) ? [] : lookups.ask(prepared, signal));

  const begin = (tenant: TenantId, stream: string, request: StatsRequest): BegunQuestion => {
    const startedMs = clock.monotonicMs();
    const since = (): number => clock.monotonicMs() - startedMs;
    const nowMs = clock.now();
    const prepared = prepareAtOnce(parts, tenant, stream, request, nowMs);
    const recent = prepared && rowsAtHand(prepared);
    // What is in memory anyway is not kept a second time.
    if (recent) return ready(toAnswer(prepared, recent, since()));
    const asked = results?.asked(tenant, stream, request);
    const kept = asked && results?.ready(asked);
    if (kept) return ready(kept);
    const prepare = () => prepareQuestion(parts, tenant, stream, request, asked?.nowMs ?? nowMs);
    const before = rollupsOf(catalog, tenant, stream);
    const finish = async (signal?: AbortSignal): Promise<StatsAnswer> => {
      const asFound = prepared ?? (await prepare());
      // Without `from` it is known only now when it begins.
      const found = prepared ? undefined : rowsAtHand(asFound);
      if (found) return toAnswer(asFound, found, since());
      const compute = async (end: AbortSignal | undefined): Promise<StatsAnswer> => {
        try {
          return toAnswer(asFound, await rowsOf(asFound, end), since());
        } catch (error) {
          // The table of a rollup that was replaced between plan and answer is gone: the plan is made once more.
          const isOfStore = error instanceof MillraceError && error.code === 'store-unavailable';
          if (!isOfStore || isSame(before, rollupsOf(catalog, tenant, stream))) throw error;
          const again = await prepare();
          return toAnswer(again, await rowsOf(again, end), since());
        }
      };
      return asked && results ? results.answer(asked, asFound.question, compute, signal) : compute(signal);
    };
    return { atHand: undefined, finish };
  };

  return {
    begin,
    ask: async (tenant, stream, request, signal) => {
      const { atHand, finish } = begin(tenant, stream, request);
      return atHand ?? finish(signal);
    },
  };
}

const ready = (answer: StatsAnswer): BegunQuestion => ({ atHand: answer, finish: async () => answer });

type Standing = readonly Versioned<RollupDefinition>[];

const isSame = (a: Standing, b: Standing): boolean =>
  a.length === b.length &&
  a.every(
    ({ definition, version }, at) => definition.name === b[at]!.definition.name && version === b[at]!.version,
  );

/** The rows as the asker gets them: filled, ordered, cut. */
export function toAnswer(
  { question, layout, plan, freshness, standing, isFiltered, range, starts }: PreparedQuestion,
  found: readonly EngineRow[],
  elapsedMs: number,
): StatsAnswer {
  const isEmpty = question.every !== undefined && starts.length === 0;
  const rows = isEmpty
    ? []
    : question.every
      ? seriesRows(question, layout, found, starts, range)
      : totalRows(layout, found, range);
  const final = finalityOf(standing, range, isFiltered);
  // Written out: to spread objects takes longer than to fill them.
  return {
    columns: layout.columns,
    rowsJson: `[${rows.join(',')}]`,
    rowCount: rows.length,
    meta: {
      source: plan.source,
      as_of: freshness.as_of,
      lag_ms: freshness.lag_ms,
      watermark: final.watermark,
      finality: final.finality,
      version: final.version,
      late: final.late,
      duplicates: final.duplicates,
      cached: false,
      elapsed_ms: Math.round(elapsedMs * 100) / 100,
      from: formatMoment(range.fromMs),
      to: formatMoment(range.toMs),
    },
  };
}
