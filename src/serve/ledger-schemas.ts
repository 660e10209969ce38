/** The shapes of the ledger's and the duplicates' requests and answers. */
import { z } from 'zod';

const moment = z.iso.datetime({ offset: true });
const whole = z.int().min(0);
const text = z.string();
const fromTo = {
  from: text
    .optional()
    .describe('Time of arrival: RFC 3339, epoch milliseconds or relative (`-1h`); included.'),
  to: text.optional().describe('As `from`; excluded. Default `now`.'),
};

export const ledgerQuery = z.strictObject({
  every: z
    .enum(['1m', '10m', '1h', '1d'])
    .optional()
    .describe('Width of a row in time of arrival. Default `1m`.'),
  from: fromTo.from.describe('Time of arrival, widened to whole rows. Default: 60 rows before `to`.'),
  to: fromTo.to,
  partition: z.coerce.number<string>().int().min(0).optional().describe('Only this partition of the log.'),
  by: z.enum(['partition']).optional().describe('A row for each partition.'),
  only: z.enum(['mismatched']).optional().describe('Only rows that do not balance.'),
  limit: z.coerce.number<string>().int().min(1).max(1_000).default(100).describe('1 to 1000. Default 100.'),
  cursor: text.optional().describe('`next_cursor` of the page before.'),
  batch: text
    .max(4_096)
    .optional()
    .describe('A receipt, the `batch` of an answer to POST events: what became of these records. Alone.'),
});

export const acknowledgeRequest = z
  .strictObject({
    from: text.describe('Time of arrival: RFC 3339, epoch milliseconds or relative (`-1h`); included.'),
    to: text.describe('As `from`; excluded.'),
    partition: z.number().int().min(0).optional().describe('Only this partition of the log.'),
  })
  .meta({ examples: [{ from: '2024-05-01T12:00:00Z', to: '2024-05-01T12:05:00Z' }] });
export const acknowledgeAnswer = z
  .object({ acknowledged: whole.describe('Rows of the ledger that did not balance.') })
  .meta({ examples: [{ acknowledged: 1 }] });

const counts = {
  accepted: whole.describe('Records in the log.'),
  stored: whole,
  duplicates: whole,
  quarantined: whole,
  late_dropped: whole,
  pending: whole.describe('In the log, not applied yet.'),
  missing: whole.describe('Applied, and nowhere: a fault.'),
  extra: whole.describe('There more than once, or unknown to the log: a fault.'),
};
const exampleCounts = {
  accepted: 1_000,
  stored: 990,
  duplicates: 6,
  quarantined: 1,
  late_dropped: 0,
  pending: 3,
  missing: 0,
  extra: 0,
};
const row = z.object({
  start: moment,
  partition: whole.optional(),
  ...counts,
  balanced: z
    .boolean()
    .describe('stored + duplicates + quarantined + late_dropped + pending is accepted, record by record.'),
  sealed: z.boolean().describe('Every record was checked, and the numbers are kept for good.'),
  source: z
    .enum(['store', 'sealed'])
    .describe(
      'Where the numbers come from: the rows as they are now, or what was sealed before they were dropped.',
    ),
});

export const ledgerAnswer = z
  .object({
    every: z.enum(['1m', '10m', '1h', '1d']),
    from: moment,
    to: moment,
    rows: z.array(row).describe('Ascending. Times in which nothing arrived are left out.'),
    totals: z.object(counts).describe('Of the whole range, whatever is shown of it.'),
    balanced: z.boolean(),
    checked_to: moment.nullable().describe('Everything that arrived before was checked.'),
    next_cursor: z.string().nullable(),
  })
  .meta({
    id: 'Ledger',
    examples: [
      {
        every: '1m',
        from: '2024-05-01T11:00:00.000Z',
        to: '2024-05-01T12:00:00.000Z',
        rows: [
          {
            start: '2024-05-01T11:59:00.000Z',
            ...exampleCounts,
            balanced: true,
            sealed: false,
            source: 'store',
          },
        ],
        totals: exampleCounts,
        balanced: true,
        checked_to: '2024-05-01T11:59:00.000Z',
        next_cursor: null,
      },
    ],
  });

export const batchAnswer = z
  .object({
    batch: z.string(),
    ...counts,
    forgotten: whole.describe('Records whose rows retention has dropped; only sums are left of them.'),
    balanced: z.boolean(),
    exceptions: z
      .array(
        z.object({
          partition: whole,
          offset: whole,
          outcome: z.enum(['duplicate', 'quarantined', 'late_dropped']),
          reason: z.string(),
          field: z.string().optional(),
          id: z.string().optional(),
        }),
      )
      .describe('What was not simply stored: the first 100 of each outcome.'),
  })
  .meta({
    id: 'LedgerOfBatch',
    examples: [
      {
        batch: '0-1234-2',
        ...{ accepted: 2, stored: 1, duplicates: 1, quarantined: 0, late_dropped: 0, pending: 0 },
        ...{ missing: 0, extra: 0, forgotten: 0, balanced: true },
        exceptions: [
          {
            ...{ partition: 0, offset: 1_235, outcome: 'duplicate' },
            ...{ reason: 'an event of this id was stored before', id: '7' },
          },
        ],
      },
    ],
  });

export const duplicatesQuery = z.strictObject({
  limit: ledgerQuery.shape.limit,
  cursor: ledgerQuery.shape.cursor,
  ...fromTo,
});
const arrival = { partition: whole, offset: whole, received: moment };
export const duplicatesAnswer = z
  .object({
    count: whole.describe('Of the whole range, over all pages.'),
    duplicates: z.array(
      z.object({
        ...arrival,
        time: moment.describe('Its event time.'),
        id: z.string(),
        first: z.object(arrival).nullable().describe('The arrival that was counted.'),
        first_unknown: z.string().optional().describe('Why `first` is null.'),
      }),
    ),
    next_cursor: z.string().nullable(),
  })
  .meta({
    examples: [
      {
        count: 1,
        duplicates: [
          {
            ...{ partition: 0, offset: 1_235, received: '2024-05-01T11:59:00.000Z' },
            ...{ time: '2024-05-01T11:58:00.000Z', id: '7' },
            first: { partition: 0, offset: 1_200, received: '2024-05-01T11:58:01.000Z' },
          },
        ],
        next_cursor: null,
      },
    ],
  });

export const ledgerHealth = z.object({
  balanced: z.boolean(),
  checked_to: moment.nullable().describe('Everything that arrived before was checked.'),
  mismatched_minutes: whole,
});
