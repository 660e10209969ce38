/**
 * A data version: for each stream, the offset of each log partition below which its events count, and for each dimension
 * table the number of the last change that counts. Below an applied offset nothing is added, and a table that keeps its
 * history forgets no change, so the same version means the same rows for as long as they are kept.
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Catalog } from '../catalog/port.ts';
import { type Engine, eventsTable } from '../store/index.ts';
import { askEngine } from './ask-engine.ts';
import { isSameInAnyOrder } from './lookup.ts';
import type { StatsAnswer, StatsRequest } from './port.ts';
import { type PrepareParts, prepareQuestion } from './prepare.ts';
import { timeRange } from './statement.ts';
import { toAnswer } from './stats.ts';
import { Parameters } from './where.ts';

/** By log partition; one that is not named has no events. */
export type Pin = readonly number[];

export interface Pins {
  readonly streams: ReadonlyMap<string, Pin>;
  readonly tables: ReadonlyMap<string, number>;
}

/** Holds for the events below the pin. */
export function pinSql(pin: Pin): string {
  const parts = pin.flatMap((offset, partition) =>
    offset > 0 ? [`(_partition = ${whole(partition)} AND _offset < ${whole(offset)})`] : [],
  );
  return parts.length === 0 ? 'false' : `(${parts.join(' OR ')})`;
}

function whole(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no offset`);
  return String(value);
}

export interface PinnedQuestion {
  readonly stream: string;
  readonly request: StatsRequest;
  readonly pins: Pins;
  /** What relative times in the question are relative to. */
  readonly nowMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PinnedStats {
  /**
   * Answers as `Stats.ask` does, from what the pins hold alone: the same question has the same answer, to the last bit,
   * whatever came later. A table without a pin is none. Fails as that does.
   */
  ask(tenant: TenantId, question: PinnedQuestion): Promise<StatsAnswer>;
  /** What the question is about: `[fromMs, toMs)`. */
  range(
    tenant: TenantId,
    question: PinnedQuestion,
  ): Promise<{ readonly fromMs: number; readonly toMs: number }>;
  /** Whether events at or above the pin lie in `[fromMs, toMs)`. */
  isTouched(tenant: TenantId, stream: string, pin: Pin, fromMs: number, toMs: number): Promise<boolean>;
}

export interface PinnedStatsOptions extends Omit<PrepareParts, 'catalog'> {
  readonly engine: Pick<Engine, 'query' | 'rows'>;
  readonly catalog: Pick<Catalog, 'stream' | 'setting'>;
  readonly clock: Clock;
}

export function createPinnedStats(options: PinnedStatsOptions): PinnedStats {
  const { engine, catalog, tables } = options;
  const prepare = (tenant: TenantId, { stream, request, pins, nowMs }: PinnedQuestion) => {
    const parts: PrepareParts = {
      ...options,
      // Rollups know no offsets.
      catalog: {
        stream: (of, name) => catalog.stream(of, name),
        setting: (name) => catalog.setting(name),
        rollups: () => [],
      },
      tables: {
        definition: (of, name) => (pins.tables.has(name) ? tables?.definition(of, name) : undefined),
      },
    };
    return prepareQuestion(parts, tenant, stream, request, nowMs);
  };
  return {
    ask: async (tenant, asked) => {
      const { stream, pins, signal } = asked;
      const prepared = await prepare(tenant, asked);
      const isEmpty = prepared.question.every !== undefined && prepared.starts.length === 0;
      const pinned = {
        below: pinSql(pins.streams.get(stream) ?? []),
        tables: (table: string) => pins.tables.get(table) ?? 0,
        isOrdered: !prepared.question.functions.every(isSameInAnyOrder),
      };
      const rows = isEmpty ? [] : await askEngine(engine, { ...prepared, pinned }, signal);
      return toAnswer(prepared, rows, 0);
    },

    range: async (tenant, asked) => (await prepare(tenant, asked)).range,

    isTouched: async (tenant, stream, pin, fromMs, toMs) => {
      const parameters = new Parameters();
      const isIn = timeRange({ fromMs, toMs }, parameters);
      const found = await engine.rows<{ found: number }>(
        {
          text: `SELECT 1 AS found FROM ${eventsTable(tenant, stream)} WHERE ${isIn} AND NOT ${pinSql(pin)} LIMIT 1`,
          params: parameters.values,
        },
        { reading: 'listing', tenant },
      );
      return found.length > 0;
    },
  };
}
