/**
 * A data version: for each stream, the offset of each log partition below which its events count. Below an applied offset
 * nothing is added, so the same version means the same events for as long as they are kept.
 */

import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Engine } from '../store/index.ts';
import { eventsTable } from '../store/index.ts';
import { askEngine } from './ask-engine.ts';
import type { StatsAnswer, StatsRequest } from './port.ts';
import { type PrepareParts, prepareQuestion } from './prepare.ts';
import { timeRange } from './statement.ts';
import { toAnswer } from './stats.ts';
import { Parameters } from './where.ts';

/** By log partition; one that is not named has no events. */
export type Pin = readonly number[];
export type Pins = ReadonlyMap<string, Pin>;

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
  readonly pin: Pin;
  /** What relative times in the question are relative to. */
  readonly nowMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PinnedStats {
  /**
   * Answers as `Stats.ask` does, from the events below the pin alone: the same question has the same answer whatever came
   * later. Fails as that does.
   */
  ask(tenant: TenantId, question: PinnedQuestion): Promise<StatsAnswer>;
  /** Whether events at or above the pin lie in `[fromMs, toMs)`. */
  isTouched(tenant: TenantId, stream: string, pin: Pin, fromMs: number, toMs: number): Promise<boolean>;
}

export interface PinnedStatsOptions extends Omit<PrepareParts, 'catalog'> {
  readonly engine: Pick<Engine, 'query' | 'rows'>;
  readonly catalog: Pick<Catalog, 'stream' | 'setting'>;
  readonly clock: Clock;
}

export function createPinnedStats(options: PinnedStatsOptions): PinnedStats {
  const { engine, catalog } = options;
  // Rollups know no offsets.
  const parts: PrepareParts = {
    ...options,
    catalog: {
      stream: (tenant, name) => catalog.stream(tenant, name),
      setting: (name) => catalog.setting(name),
      rollups: () => [],
    },
  };
  return {
    ask: async (tenant, { stream, request, pin, nowMs, signal }) => {
      const prepared = await prepareQuestion(parts, tenant, stream, request, nowMs);
      const isEmpty = prepared.question.every !== undefined && prepared.starts.length === 0;
      const rows = isEmpty ? [] : await askEngine(engine, { ...prepared, below: pinSql(pin) }, signal);
      return toAnswer(prepared, rows, 0);
    },

    isTouched: async (tenant, stream, pin, fromMs, toMs) => {
      const parameters = new Parameters();
      const range = timeRange({ fromMs, toMs }, parameters);
      const found = await engine.rows<{ found: number }>(
        {
          text: `SELECT 1 AS found FROM ${eventsTable(tenant, stream)} WHERE ${range} AND NOT ${pinSql(pin)} LIMIT 1`,
          params: parameters.values,
        },
        { reading: 'listing', tenant },
      );
      return found.length > 0;
    },
  };
}
