/** The stream and rollup whose tables the writing process fills. */
import type { StreamName } from '../../src/base/brand.ts';
import type { RollupDefinition, StreamDefinition } from '../../src/define/model.ts';

export const BATCH_ROWS = 20_000;

export const STREAM: StreamDefinition = {
  kind: 'stream',
  name: 'clicks' as StreamName,
  fields: [{ name: 'kind', type: { kind: 'int64' }, optional: false }],
  eventId: undefined,
  eventTime: undefined,
  partitionBy: undefined,
  partitions: 1,
  dedupeWithinMs: 0,
  lateness: undefined,
  futureAllowedMs: 86_400_000,
  retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
};

export const ROLLUP: RollupDefinition = {
  kind: 'rollup',
  name: 'by_kind',
  from: STREAM.name,
  by: ['kind'],
  everySeconds: 10,
  measures: [
    { name: 'n', measure: { fn: 'count' } },
    { name: 'q', measure: { fn: 'quantile', field: 'kind' } },
  ],
};
