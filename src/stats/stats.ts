/** Answers questions: prepare, ask once, fill, order. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition } from '../define/model.ts';
import type { HotReader } from '../hot/index.ts';
import type { Engine } from '../store/index.ts';
import { columnsOf, type EngineRow, seriesRows, totalRows } from './answer.ts';
import { askMemory } from './ask-memory.ts';
import { finalityOf } from './finality.ts';
import { Lookups } from './lookups.ts';
import type { Stats, StatsAnswer } from './port.ts';
import { type PreparedQuestion, type PrepareParts, prepareQuestion, rollupsOf } from './prepare.ts';
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

  const isEmpty = ({ question, starts }: PreparedQuestion): boolean =>
    question.every !== undefined && starts.length === 0;

  /** Nothing happens between looking how far ingest is and the answer. */
  const rowsAtHand = (prepared: PreparedQuestion): readonly EngineRow[] | undefined =>
    isEmpty(prepared) ? [] : options.hot && askMemory(options.hot, options.ingest, prepared);

  const rowsOf = async (
    prepared: PreparedQuestion,
    signal: AbortSignal | undefined,
  ): Promise<readonly EngineRow[]> => (isEmpty(prepared) ? [] : lookups.ask(prepared, signal));

  return {
    ask: async (tenant, stream, request, signal) => {
      const startedMs = clock.monotonicMs();
      const asked = results?.asked(tenant, stream, request);
      const ready = asked && results?.ready(asked);
      if (ready) return ready;
      const before = standing(tenant, stream);
      const prepared = await prepareQuestion(options, tenant, stream, request, asked?.nowMs);
      const recent = rowsAtHand(prepared);
      // What is in memory anyway is not kept a second time.
      if (recent) return toAnswer(prepared, recent, clock.monotonicMs() - startedMs);
      const compute = async (end: AbortSignal | undefined): Promise<StatsAnswer> => {
        try {
          return toAnswer(prepared, await rowsOf(prepared, end), clock.monotonicMs() - startedMs);
        } catch (error) {
          // The table of a rollup that was replaced between plan and answer is gone: the plan is made once more.
          const isOfStore = error instanceof MillraceError && error.code === 'store-unavailable';
          if (!isOfStore || isSame(before, standing(tenant, stream))) throw error;
          const again = await prepareQuestion(options, tenant, stream, request, asked?.nowMs);
          return toAnswer(again, await rowsOf(again, end), clock.monotonicMs() - startedMs);
        }
      };
      return asked && results ? results.answer(asked, prepared.question, compute, signal) : compute(signal);
    },
  };

  /** The versions of the rollups that may answer. */
  function standing(tenant: TenantId, stream: string): Standing {
    return rollupsOf(catalog, tenant, stream);
  }
}

type Standing = readonly Versioned<RollupDefinition>[];

const isSame = (a: Standing, b: Standing): boolean =>
  a.length === b.length &&
  a.every(
    ({ definition, version }, at) => definition.name === b[at]!.definition.name && version === b[at]!.version,
  );

/** The rows as the asker gets them: filled, ordered, cut. */
export function toAnswer(
  { question, plan, freshness, standing, isFiltered, range, starts }: PreparedQuestion,
  found: readonly EngineRow[],
  elapsedMs: number,
): StatsAnswer {
  const isEmpty = question.every !== undefined && starts.length === 0;
  const rows = isEmpty
    ? []
    : question.every
      ? seriesRows(question, found, starts, range)
      : totalRows(question, found, range);
  return {
    columns: columnsOf(question),
    rowsJson: `[${rows.join(',')}]`,
    rowCount: rows.length,
    meta: {
      source: plan.source,
      ...freshness,
      ...finalityOf(standing, range, isFiltered),
      cached: false,
      elapsed_ms: Math.round(elapsedMs * 100) / 100,
      from: formatMoment(range.fromMs),
      to: formatMoment(range.toMs),
    },
  };
}
