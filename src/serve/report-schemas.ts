/** Requests and answers about runs of reports. */
import { z } from 'zod';
import { RESULT_FORMATS } from '../reports/port.ts';

const moment = z.string().describe('RFC 3339, UTC.');
const time = (what: string) =>
  z
    .union([z.string().max(100), z.number()])
    .optional()
    .describe(what);
const dataVersion = z
  .record(z.string().max(80), z.array(z.int().min(0)).min(1).max(4_096))
  .describe(
    'By stream, for each log partition: events below this offset are counted. By `table:NAME`: changes up to this number.',
  );
const parameters = z.record(z.string(), z.union([z.string().max(4_000), z.number(), z.boolean()]));

export const reportRunRequest = z
  .strictObject({
    from: time('Start of the period; with `to`. Absent: the newest period that has ended.'),
    to: time('End of the period, which is not part of it.'),
    parameters: parameters.optional().describe("In place of the report's own, by name."),
    data_version: dataVersion
      .optional()
      .describe(
        'That of an earlier run: the same period gives the same bytes. Absent: all accepted before now.',
      ),
  })
  .meta({ examples: [{}, { from: '2024-05-01', to: '2024-05-02' }] });

export const reportParams = z.object({ report: z.string().describe('Name of the report.') });
export const reportRunParams = reportParams.extend({ id: z.string().describe('The `id` of the run.') });
export const reportRunsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const reportResultQuery = z.strictObject({
  format: z.enum(RESULT_FORMATS).default('json'),
  question: z
    .string()
    .max(63)
    .optional()
    .describe('Which one, for `csv` and `parquet` of a report with several questions.'),
});

export const reportRunAnswer = z
  .object({
    id: z.string(),
    report: z.string(),
    version: z.int().describe('Counts the runs about the same period with the same parameters, from 1.'),
    reason: z.enum(['schedule', 'demand', 'trigger']),
    state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
    period: z.object({ from: moment, to: moment, tz: z.string() }),
    parameters,
    definition_version: z.int(),
    data_version: dataVersion.nullable(),
    stale: z
      .boolean()
      .nullable()
      .optional()
      .describe(
        'It would find something else by now: newer events lie where it looks, or a table has changed. Null when that cannot be told. Not in lists.',
      ),
    missed: z.int().describe('Scheduled times before it that passed while nothing ran.'),
    requested_at: moment,
    started_at: moment.nullable(),
    ended_at: moment.nullable(),
    error: z.string().nullable(),
    files: z.array(
      z.object({
        name: z.string(),
        format: z.enum(RESULT_FORMATS),
        question: z.string().nullable(),
        bytes: z.int(),
        sha256: z.string(),
      }),
    ),
  })
  .meta({ id: 'ReportRun' });
export const reportRunsAnswer = z.object({ runs: z.array(reportRunAnswer) });
