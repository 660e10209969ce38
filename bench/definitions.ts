/** The stream and the rollups of the benchmarks, as the documents that a user would PUT. */
export const STREAM = 'bench';

/** `payload` is a declared field: it is kept in the engine, compressed. */
export function streamDocument(
  options: { readonly dedup: boolean } = { dedup: true },
): Record<string, unknown> {
  return {
    fields: {
      id: 'string',
      ts: 'timestamp',
      type: 'string',
      key: 'string',
      value: 'float64',
      country: 'string',
      payload: 'string',
    },
    eventId: 'id',
    eventTime: 'ts',
    dedupe: options.dedup ? { within: '24h' } : false,
  };
}

const rich = (by: readonly string[]): Record<string, unknown> => ({
  from: STREAM,
  by,
  every: '1m',
  measures: {
    events: 'count()',
    total: 'sum(value)',
    mean: 'avg(value)',
    keys: 'unique(key)',
    typical: 'quantile(value)',
  },
});

/** 480 groups a minute: what a dashboard asks for. */
export const RICH_ROLLUP = rich(['type', 'country']);
/** Nearly a group per two events: close to the dearest rollup there is. */
export const WIDE_ROLLUP = rich(['type', 'key']);
export const THREE_ROLLUPS: Readonly<Record<string, Record<string, unknown>>> = {
  by_type_country: RICH_ROLLUP,
  by_country: rich(['country']),
  by_type: rich(['type']),
};
