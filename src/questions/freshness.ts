/** How fresh the rows of an answer in SQL are at the least. */
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import { formatMoment, freshnessOf } from '../stats/index.ts';
import { isFiltered, type Principal } from '../tenants/index.ts';
import type { Watermarks } from '../watermarks/index.ts';

export interface SqlFreshness {
  /** Records of all streams that were read which arrived up to this time are in the answer, RFC 3339; null: none is. */
  readonly as_of: string | null;
  /** Age of the oldest record that was accepted and not yet in the answer, ms; 0 when there was none. */
  readonly lag_ms: number;
  /** Up to this event time the events of all of them are complete, RFC 3339; null: unknown, or not to be told. */
  readonly watermark: string | null;
}

export interface FreshnessParts {
  readonly catalog: Pick<Catalog, 'stream' | 'rollup'>;
  readonly log: Pick<Log, 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly watermarks?: Pick<Watermarks, 'of'> | undefined;
}

/**
 * Of the streams behind these names, the least of each. To be taken before the question is put, so that the answer holds at
 * least what is promised. Dimension tables are as they are now. As answers of numbers do, it tells a key with row filters
 * nothing of when others' events come.
 */
export function freshnessOfAll(
  { catalog, log, ingest, watermarks }: FreshnessParts,
  principal: Pick<Principal, 'tenant' | 'rowFilters'>,
  names: Iterable<string>,
  nowMs: number,
): SqlFreshness {
  const { tenant } = principal;
  const streams = streamsBehind(catalog, tenant, names);
  let least: Omit<SqlFreshness, 'watermark'> = { as_of: formatMoment(nowMs), lag_ms: 0 };
  let watermarkMs = Infinity;
  for (const stream of streams) {
    const { as_of, lag_ms } = freshnessOf(log, ingest, tenant, stream, nowMs);
    least = { as_of: earlier(least.as_of, as_of), lag_ms: Math.max(least.lag_ms, lag_ms) };
    watermarkMs = Math.min(watermarkMs, watermarks?.of(tenant, stream.name).atMs ?? -Infinity);
  }
  const watermark = Number.isFinite(watermarkMs) && !isFiltered(principal) ? formatMoment(watermarkMs) : null;
  return { ...least, watermark };
}

function streamsBehind(
  catalog: FreshnessParts['catalog'],
  tenant: TenantId,
  names: Iterable<string>,
): ReadonlySet<StreamDefinition> {
  const found = new Set<StreamDefinition>();
  for (const name of names) {
    const own = catalog.stream(tenant, name) ?? catalog.rollup(tenant, name);
    const stream = own && 'from' in own.definition ? catalog.stream(tenant, own.definition.from) : own;
    if (stream) found.add(stream.definition as StreamDefinition);
  }
  return found;
}

/** Moments in one form come in the order of their texts. */
const earlier = (a: string | null, b: string | null): string | null =>
  a === null || b === null ? null : a < b ? a : b;
