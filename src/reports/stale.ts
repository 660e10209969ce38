/** Whether a run would find something else by now. */
import type { TenantId } from '../base/brand.ts';
import { type ReportDefinition, type ReportQuestion, relationsNamed } from '../define/model.ts';
import type { PinnedStats } from '../stats/index.ts';
import { statsRequest } from './answers.ts';
import { appliedNow, type DataVersionParts, pinsOf, readsNow } from './data-version.ts';
import type { ReportRun } from './port.ts';

export interface StaleParts extends Pick<DataVersionParts, 'catalog' | 'engine' | 'ingest'> {
  readonly pinnedStats: PinnedStats;
}

/**
 * True: a table has changed, or newer events lie where a question looks. Undefined: newer events lie elsewhere, and a question
 * in SQL may look there; or nobody can tell any more.
 */
export async function isStale(
  parts: StaleParts,
  tenant: TenantId,
  run: ReportRun,
  /** As it was when the run was made; undefined: it is another one now. */
  definition: ReportDefinition | undefined,
): Promise<boolean | undefined> {
  const { catalog, pinnedStats } = parts;
  if (run.state !== 'done' || run.dataVersion === undefined) return undefined;
  const pins = pinsOf(run.dataVersion);
  const streams = [...pins.streams.keys()].map((name) => catalog.stream(tenant, name)?.definition);
  const tables = [...pins.tables.keys()].map((name) => catalog.object(tenant, 'table', name)?.definition);
  const there = {
    streams: streams.filter((one) => one !== undefined),
    tables: tables.filter((one) => one !== undefined),
  };
  if (there.streams.length < streams.length || there.tables.length < tables.length) return undefined;
  const now = pinsOf(await appliedNow(parts, tenant, there));
  for (const [table, change] of pins.tables) if (now.tables.get(table) !== change) return true;

  let isUnsure = false;
  for (const [stream, pin] of pins.streams) {
    if (now.streams.get(stream)!.every((at, partition) => at === (pin[partition] ?? 0))) continue;
    const isIn = (fromMs: number, toMs: number) => pinnedStats.isTouched(tenant, stream, pin, fromMs, toMs);
    if (definition === undefined) {
      if (await isIn(run.fromMs, run.toMs)) return true;
      isUnsure = true;
      continue;
    }
    for (const question of definition.questions) {
      if (!('sql' in question)) {
        if (question.stream !== stream) continue;
        const request = statsRequest(question.stats, run);
        const range = await pinnedStats.range(tenant, { stream, pins, nowMs: run.toMs, request });
        if (await isIn(range.fromMs, range.toMs)) return true;
      } else {
        const one = { questions: [question] };
        const reads = readsNow(catalog, tenant, one, run.parameters);
        if (!reads.streams.some(({ name }) => name === stream)) continue;
        if (await isIn(run.fromMs, run.toMs)) return true;
        isUnsure ||= reads.streams.length > 1 || !keepsToPeriod(question);
      }
    }
  }
  return isUnsure ? undefined : false;
}

/** Taken from its words: it names one relation, and both ends of the period. */
const keepsToPeriod = (question: Extract<ReportQuestion, { sql: string }>): boolean =>
  ['from', 'to'].every((end) => new RegExp(`\\{\\s*${end}\\s*:`).test(question.sql)) &&
  relationsNamed(question.sql).length > 0;
