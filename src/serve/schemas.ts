/** The shapes of requests and answers. The same schemas check what comes in and describe it in `/openapi.json`. */
import { z } from 'zod';
import { ERROR_CATALOGUE, type ErrorCode } from '../base/errors.ts';
import { RUN_KINDS, RUN_STATES } from '../catalog/index.ts';
import { DEFINITION_KINDS } from '../define/index.ts';
import { ledgerHealth } from './ledger-schemas.ts';
import { REPEATED_MAX } from './query.ts';

const moment = z.iso.datetime({ offset: true });
const whole = z.int().min(0);

export const problem = z
  .object({
    type: z.string().describe('`/problems/CODE`: stable, and an address that explains it.'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What to do about it.'),
    issues: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe('Every mistake at once, each with its path.'),
    request_id: z.string(),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457 problem details.',
    examples: [
      {
        type: '/problems/unknown-stream',
        title: 'There is no such stream',
        status: 404,
        detail: 'There is no stream "clicks". PUT /v1/streams/clicks makes it.',
        request_id: '018f2c5e7d3a7b3c9d1e2f3a4b5c6d7e-1a',
      },
    ],
  });

const stateExample = {
  accepted: 1_000,
  stored: 990,
  duplicates: 4,
  quarantined: 1,
  late: 0,
  late_dropped: 0,
  with_unknown_fields: 0,
  pending: 5,
  lag_ms: 120,
  freshness_ms: 141.5,
  newest_at: '2024-05-01T12:00:00.000Z',
  as_of: '2024-05-01T11:59:59.880Z',
  watermark: '2024-05-01T11:59:58.000Z',
  watermark_lag_ms: 2_120,
  sources: 1,
  idle_sources: 0,
  first_event_time: '2024-04-30T00:00:00.000Z',
  last_event_time: '2024-05-01T11:59:58.000Z',
  log_bytes: 240_000,
  ledger: { balanced: true, checked_to: '2024-05-01T11:59:00.000Z', mismatched_minutes: 0 },
};

export const streamState = z
  .object({
    accepted: whole.describe(
      'Events in the log: stored + duplicates + quarantined + late_dropped + pending.',
    ),
    stored: whole,
    duplicates: whole,
    quarantined: whole,
    late: whole.describe('Behind the watermark by more than the stream allows, whatever became of them.'),
    late_dropped: whole,
    with_unknown_fields: whole.describe('Stored events that carry fields the stream does not declare.'),
    pending: whole.describe('In the log, not yet in the store.'),
    lag_ms: z.number().min(0).describe('Age of the oldest pending event; 0 when there is none.'),
    freshness_ms: z
      .number()
      .min(0)
      .describe('Time from acknowledgement to being visible, as last measured; else the lag.'),
    newest_at: moment.nullable().describe('Arrival of the newest event.'),
    as_of: moment.nullable().describe('Arrival of the newest event that is in the store.'),
    watermark: moment
      .nullable()
      .describe('Up to this event time the events are complete, as far as one can know.'),
    watermark_lag_ms: z.number().min(0).describe('How far the watermark is behind the clock.'),
    sources: whole.describe('Partitions, or values of watermark.source, that have a watermark each.'),
    idle_sources: whole.describe('Of them: silent for so long that they do not hold the watermark back.'),
    first_event_time: moment.nullable(),
    last_event_time: moment.nullable(),
    log_bytes: whole,
    ledger: ledgerHealth,
  })
  .meta({ id: 'StreamState', examples: [stateExample] });
export type StreamStateAnswer = z.infer<typeof streamState>;

const document = z.record(z.string(), z.unknown());
const version = z.int().min(1).describe('Counts from 1; the ETag is `"VERSION"`.');

const streamExample = {
  name: 'visits',
  version: 1,
  updated_at: '2024-05-01T12:00:00.000Z',
  document: { fields: { page: 'string', seconds: 'float64', at: 'timestamp' }, eventTime: 'at' },
};
export const streamAnswer = z
  .object({
    name: z.string(),
    version,
    updated_at: moment,
    document,
    state: streamState.nullable().describe('null for a key that does not see every row of the stream.'),
  })
  .meta({ id: 'Stream', examples: [{ ...streamExample, state: stateExample }] });
export const streamsAnswer = z.object({ streams: z.array(streamAnswer) });

const runProgress = z.object({
  done: whole,
  total: whole.describe('0 while it is not known.'),
  unit: z.enum(['events', 'buckets', 'records', 'parts']),
  step: z.string(),
});
const run = z
  .string()
  .nullable()
  .describe('The run that carries the change out (`GET /v1/runs/ID`); null when there was nothing to build.');

export const changedStreamAnswer = z
  .object({ name: z.string(), version, updated_at: moment, document, run })
  .meta({ id: 'ChangedStream', examples: [{ ...streamExample, run: null }] });

export const definitionAnswer = z
  .object({
    name: z.string(),
    version,
    updated_at: moment,
    document,
    state: z
      .enum(['ready', 'building'])
      .describe('building: it answers nothing yet, or the definition before it answers until it is built.'),
    run,
    progress: runProgress.nullable().describe('Of the run, while it is under way.'),
  })
  .meta({
    id: 'Rollup',
    examples: [
      {
        name: 'by_page',
        version: 1,
        updated_at: '2024-05-01T12:00:00.000Z',
        document: { from: 'visits', by: ['page'], every: '1m', measures: { visits: 'count()' } },
        state: 'building',
        run: '018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e',
        progress: { done: 2_000_000, total: 3_000_000, unit: 'events', step: 'filling by_page' },
      },
    ],
  });
export const rollupsAnswer = z.object({ rollups: z.array(definitionAnswer) });

/** A table, a window, a report or a trigger. */
export const objectAnswer = z.object({ name: z.string(), version, updated_at: moment, document });

const documents = document.optional();
export const planRequest = z
  .object({
    ...{ streams: documents, rollups: documents, tables: documents, windows: documents },
    ...{ reports: documents, triggers: documents },
  })
  .meta({
    examples: [
      {
        streams: { visits: { fields: { page: 'string' } } },
        rollups: { by_page: { from: 'visits', by: ['page'], every: '1m', measures: { visits: 'count()' } } },
      },
    ],
  });
export const planAnswer = z
  .object({
    changes: z.array(
      z.object({
        kind: z.enum(DEFINITION_KINDS),
        name: z.string(),
        action: z.enum(['create', 'change', 'none', 'refused']),
        effects: z.array(z.string()),
        reason: z.string().optional(),
      }),
    ),
  })
  .meta({
    examples: [
      { changes: [{ kind: 'stream', name: 'visits', action: 'create', effects: ['makes the stream'] }] },
    ],
  });

export const streamParams = z.object({ stream: z.string().describe('Name of the stream.') });
export const nameParams = z.object({ name: z.string() });

const text = z.string();
const fromTo = {
  from: text.optional().describe('RFC 3339, epoch milliseconds or relative (`-1h`); included.'),
  to: text.optional().describe('As `from`; excluded. Default `now`.'),
};
const where = z
  .array(text)
  .max(REPEATED_MAX)
  .optional()
  .describe('Repeatable `field:op:value`; ops: eq ne in nin gt gte lt lte like.');

export const statsQuery = z.strictObject({
  fn: z
    .array(text)
    .max(REPEATED_MAX)
    .optional()
    .describe(
      'Repeatable: count, sum(f), avg(f), min(f), max(f), unique(f), p50(f)…p99.9(f), top(f,k), rate. Default count.',
    ),
  ...fromTo,
  every: text
    .optional()
    .describe('Width of a bucket: `1s`, `1m`, `1h`, `1d`, `1w`, `1mo` …; absent: one total.'),
  tz: text.optional().describe('IANA zone for buckets of a day and more. Default UTC.'),
  by: text.optional().describe('Dimensions, separated by commas.'),
  where,
  order: text.optional(),
  limit: text.optional(),
  asof: text
    .optional()
    .describe("`event`: columns of dimension tables as they were at the events' times. Default `now`."),
  max_age: text.optional().describe('Seconds of staleness that you tolerate. Default 0.'),
});
export const statsAnswer = z
  .object({
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    rows: z.array(document),
    meta: z.object({
      source: z.string().describe('`rollup NAME`, `events`, or several joined by ` + `.'),
      as_of: moment.nullable(),
      lag_ms: z.number(),
      watermark: moment
        .nullable()
        .describe('Up to this event time the events are complete, as far as one can know.'),
      finality: z
        .enum(['final', 'open', 'corrected'])
        .describe(
          'final: the watermark has passed `to`; corrected: it has, and late events came into the range.',
        ),
      version: whole
        .nullable()
        .describe('1 for what is final, one more for each late event; null while it is open or unknown.'),
      late: whole.nullable().describe('Events that came when the watermark had passed their minute.'),
      duplicates: whole
        .nullable()
        .describe('Records of the minutes from `from` to `to` that were not stored because their id was.'),
      cached: z.boolean(),
      elapsed_ms: z.number(),
      from: moment,
      to: moment,
    }),
  })
  .meta({
    id: 'Stats',
    examples: [
      {
        columns: [
          { name: 'page', type: 'string' },
          { name: 'count', type: 'uint64' },
        ],
        rows: [{ page: '/', count: 3 }],
        meta: {
          source: 'rollup by_page',
          as_of: '2024-05-01T11:59:59.880Z',
          lag_ms: 0,
          watermark: '2024-05-01T12:00:00.000Z',
          finality: 'final',
          version: 1,
          late: 0,
          duplicates: 2,
          cached: false,
          elapsed_ms: 3.1,
          from: '2024-05-01T11:00:00.000Z',
          to: '2024-05-01T12:00:00.000Z',
        },
      },
    ],
  });

const limit = (most: number) =>
  z.coerce.number<string>().int().min(1).max(most).default(100).describe(`1 to ${most}. Default 100.`);
const cursor = text.optional().describe('`next_cursor` of the page before.');

export const eventsQuery = z.strictObject({ limit: limit(1_000), cursor, ...fromTo, where });
export const windowResultsQuery = z.strictObject({
  limit: limit(1_000),
  cursor,
  ...fromTo,
  where,
  versions: z.enum(['latest', 'all']).optional().describe('Default latest.'),
  open: z.enum(['true', 'false']).optional().describe('Whether open windows are told, too. Default false.'),
});
export const windowResultsAnswer = z.object({
  results: z.array(document),
  open: z.array(document).optional(),
  next_cursor: z.string().nullable(),
});
export const windowStateAnswer = z
  .object({
    step: whole.describe('The step that was done last.'),
    closed_to: moment.nullable().describe('Windows that end by then are published.'),
    watermark: moment.nullable().describe("The stream's, as it is now."),
    lag_ms: z.number().min(0).describe('How far the watermark is behind the clock.'),
    last_step_at: moment.nullable(),
    pending: z.boolean().describe('A step is decided and not done yet.'),
    published: z.object({ final: whole, corrected: whole, early: whole, retracted: whole }),
    keys_cut: whole.describe('Keys of one window that were too many to be told.'),
    failure: z.string().nullable().describe('Why the last try failed; null when it did not.'),
  })
  .meta({ id: 'WindowState' });
export const tableRowsQuery = z.strictObject({
  limit: limit(1_000),
  cursor,
  where,
  at: text.optional().describe('As the rows were then: RFC 3339, epoch milliseconds or relative (`-1h`).'),
});
export const tableRowsAnswer = z.object({ rows: z.array(document), next_cursor: z.string().nullable() });
export const tableChangeQuery = z.strictObject({
  valid_from: text.optional().describe('From when on the rows are valid; default now. Not later than now.'),
});
export const tableChangeAnswer = z.object({
  rows: z.int().describe('Rows of the request.'),
  changed: z.int().describe('Versions that were written; rows that were there already write none.'),
});
export const eventsAnswer = z.object({ events: z.array(document), next_cursor: z.string().nullable() }).meta({
  examples: [
    {
      events: [{ _id: '7', _time: '2024-05-01T12:00:00.000Z', _offset: 6, page: '/', seconds: 1.5 }],
      next_cursor: null,
    },
  ],
});

export const quarantineQuery = z.strictObject({
  limit: limit(1_000),
  cursor,
  ...fromTo,
  reason: text.optional().describe('Only those with this reason.'),
  field: text.optional().describe('Only those where this field is at fault.'),
  state: z
    .enum(['waiting', 'replayed', 'all'])
    .optional()
    .describe('waiting (default): those that were not replayed.'),
});
export const quarantineAnswer = z
  .object({
    quarantined: z.array(document),
    reasons: z.array(z.object({ reason: z.string(), count: whole })),
    next_cursor: z.string().nullable(),
  })
  .meta({
    examples: [
      {
        quarantined: [
          { _offset: 3, reason: 'wrong-type', field: 'seconds', line: '{"seconds":"x"}', replayed: false },
        ],
        reasons: [{ reason: 'wrong-type', count: 1 }],
        next_cursor: null,
      },
    ],
  });

export const collectQuery = z.strictObject({
  ack: z
    .enum(['none', 'durable', 'stored'])
    .default('durable')
    .describe('none: as soon as taken; durable: after fsync; stored: after the next question sees it.'),
});
const rejected = z.array(z.object({ index: whole, field: z.string(), reason: z.string() }));
const taken = {
  accepted: whole,
  rejected: whole,
  errors: rejected.describe('The first 100 rejected events.'),
  batch: z
    .string()
    .optional()
    .describe(
      'A receipt: what became of these events is told by `GET …/ledger?batch=RECEIPT`. Not with ack=none.',
    ),
};
export const collectAnswer = z
  .object(taken)
  .meta({ id: 'Accepted', examples: [{ accepted: 2, rejected: 0, errors: [], batch: '0-1234-2' }] });
export const storedAnswer = z
  .object({ ...taken, stored: whole, duplicates: whole, quarantined: whole, late: whole })
  .meta({
    id: 'Stored',
    examples: [{ accepted: 2, rejected: 0, errors: [], stored: 1, duplicates: 1, quarantined: 0, late: 0 }],
  });

export const sqlRequest = z
  .strictObject({
    query: z.string().min(1).max(100_000).describe('One SELECT over streams and rollups by their names.'),
    params: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/),
        z.union([z.string(), z.number(), z.boolean()]),
      )
      .optional()
      .describe('Values of the placeholders `{name:Type}`.'),
    format: z
      .enum(['json', 'ndjson', 'csv', 'arrow', 'parquet'])
      .default('json')
      .describe('`json` may have 100 000 rows and 64 MiB; the others have a bound of 1 GiB only.'),
  })
  .meta({
    examples: [
      { query: 'SELECT page, count() AS visits FROM visits GROUP BY page ORDER BY visits DESC LIMIT 10' },
    ],
  });
export const sqlAnswer = z
  .object({
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    rows: z.array(document),
    statistics: z.object({ rows: whole }),
    meta: z
      .object({
        as_of: moment
          .nullable()
          .describe('Records that arrived by then, in each stream that was read, are in the answer.'),
        lag_ms: z
          .number()
          .min(0)
          .describe('Age of the oldest event that was accepted and not yet in it; 0 when there was none.'),
        watermark: moment
          .nullable()
          .describe('Up to this event time the events of these streams are complete; null: unknown.'),
      })
      .describe(
        'How fresh the rows are at the least: of the streams that were read, the one that is furthest behind.',
      ),
  })
  .meta({
    examples: [
      {
        columns: [{ name: 'visits', type: 'UInt64' }],
        rows: [{ visits: 3 }],
        statistics: { rows: 1 },
        meta: { as_of: '2024-05-01T11:59:59.880Z', lag_ms: 0, watermark: '2024-05-01T11:59:58.000Z' },
      },
    ],
  });

export const runParams = z.object({ id: z.string().describe('The `id` of the run.') });
export const runsQuery = z.strictObject({
  stream: text.optional(),
  kind: z.enum(RUN_KINDS).optional(),
  state: z.enum(RUN_STATES).optional(),
  limit: limit(1_000),
});
export const runAnswer = z
  .object({
    id: z.string(),
    kind: z.enum(RUN_KINDS),
    stream: z.string(),
    subject: z.string().nullable().describe('What of the stream, for example the name of a rollup.'),
    state: z.enum(RUN_STATES),
    progress: runProgress,
    request: z.unknown(),
    result: z.unknown(),
    error: z.string().nullable().describe('Why it failed, and what to do.'),
    started_at: moment,
    updated_at: moment,
    ended_at: moment.nullable(),
  })
  .meta({
    id: 'Run',
    examples: [
      {
        id: '018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e',
        kind: 'build-rollup',
        stream: 'visits',
        subject: 'by_page',
        state: 'running',
        progress: { done: 2_000_000, total: 3_000_000, unit: 'events', step: 'filling' },
        request: {},
        result: null,
        error: null,
        started_at: '2024-05-01T12:00:00.000Z',
        updated_at: '2024-05-01T12:00:07.000Z',
        ended_at: null,
      },
    ],
  });
export const runsAnswer = z.object({ runs: z.array(runAnswer) });

export const waitQuery = z.strictObject({
  wait: z.coerce
    .number()
    .min(0)
    .max(60)
    .default(10)
    .describe('Seconds to wait for the end of the run: 200 when it has ended, 202 when it goes on.'),
});
export const quarantineReplayRequest = z
  .strictObject({
    reason: text.optional().describe('Only records with this reason.'),
    field: text.optional().describe('Only records where this field is at fault.'),
    from: fromTo.from,
    to: fromTo.to,
    fix: text
      .optional()
      .describe(
        'An expression in the dialect of ClickHouse that makes the line to be stored from `line`; also `reason`, `field`, `_id`, `_received`. Absent: the line as it was sent.',
      ),
    dry_run: z.boolean().default(false).describe('Only tell what would happen.'),
  })
  .meta({
    examples: [
      { reason: 'must be a number', dry_run: true },
      { field: 'currency', fix: `JSONMergePatch(line, '{"currency":"EUR"}')` },
    ],
  });
export const quarantineForecast = z
  .object({
    dry_run: z.literal(true),
    candidates: whole.describe('Records that wait and fit the request.'),
    examined: whole.describe('How many of them were tried, the oldest first.'),
    would_store: whole,
    still_bad: z.array(z.object({ reason: z.string(), field: z.string(), count: whole })),
    sample: z.array(z.object({ line: z.string(), fixed: z.string(), problem: z.string().nullable() })),
  })
  .meta({
    examples: [
      {
        dry_run: true,
        candidates: 1,
        examined: 1,
        would_store: 1,
        still_bad: [],
        sample: [{ line: '{"seconds":"1,5"}', fixed: '{"seconds":"1.5"}', problem: null }],
      },
    ],
  });

/** The problems that a route can answer with, for the document. */
export function problems(...codes: readonly ErrorCode[]): Record<number, typeof problem> {
  const always: readonly ErrorCode[] = ['internal', 'stopping'];
  return Object.fromEntries([...codes, ...always].map((code) => [ERROR_CATALOGUE[code].status, problem]));
}

export const lateQuery = z.strictObject({
  every: text.optional().describe('Width of a bucket of event time, `1m` to `1d`. Default `1h`.'),
  what: z.enum(['quarantined', 'dropped']).optional().describe('Only such lines in the sample.'),
  state: z.enum(['waiting', 'replayed', 'all']).optional().describe('Of the sample. Default waiting.'),
  limit: limit(1_000),
  ...fromTo,
});
export const lateReplayRequest = z
  .strictObject({
    what: z.enum(['quarantined', 'dropped']).optional().describe('Absent: both.'),
    from: text.optional().describe('Event time from which on; as in a question.'),
    to: text.optional().describe('Event time before which.'),
    dry_run: z.boolean().default(false).describe('Only tell what would happen.'),
  })
  .meta({ examples: [{ from: '-1d', dry_run: true }, { what: 'dropped' }] });
export const lateAnswer = z
  .object({
    counts: z
      .array(z.object({ time: moment, counted: whole, quarantined: whole, dropped: whole, replayed: whole }))
      .describe(
        'By event time, newest first; those with late events only. `replayed` were quarantined or dropped and taken in since.',
      ),
    sample: z
      .array(
        z.object({
          what: z.enum(['quarantined', 'dropped']),
          partition: whole,
          offset: whole,
          received: moment,
          time: moment.nullable(),
          line: z.string(),
          replayed: z.boolean(),
        }),
      )
      .describe('What was quarantined or dropped, newest arrival first.'),
  })
  .meta({
    id: 'Late',
    examples: [
      {
        counts: [{ time: '2024-05-01T10:00:00.000Z', counted: 2, quarantined: 0, dropped: 1, replayed: 0 }],
        sample: [
          {
            what: 'dropped',
            partition: 0,
            offset: 17,
            received: '2024-05-01T12:00:00.000Z',
            time: '2024-05-01T10:20:00.000Z',
            line: '{"page":"/","at":"2024-05-01T10:20:00Z"}',
            replayed: false,
          },
        ],
      },
    ],
  });

export const heartbeatRequest = z
  .strictObject({
    time: z
      .union([z.string(), z.number()])
      .optional()
      .describe('Nothing older than this will come: RFC 3339 or epoch milliseconds. Default: now.'),
    source: z
      .string()
      .max(1_024)
      .optional()
      .describe('Of this value of `watermark.source` alone; absent: of the whole stream.'),
  })
  .meta({ examples: [{ time: '2024-05-01T12:00:00Z' }] });
export const heartbeatAnswer = z
  .object({ stream: z.string(), time: moment, watermark: moment.nullable() })
  .meta({
    examples: [{ stream: 'visits', time: '2024-05-01T12:00:00.000Z', watermark: '2024-05-01T12:00:00.000Z' }],
  });
