/** `POST|GET|DELETE /v1/reports/{report}/runs/…`: runs of reports and what they found. */
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { type Issue, MillraceError } from '../../base/errors.ts';
import type { ReportRun, ResultFormat } from '../../reports/port.ts';
import { parseTime } from '../../stats/index.ts';
import {
  reportParams,
  reportResultQuery,
  reportRunAnswer,
  reportRunParams,
  reportRunRequest,
  reportRunsAnswer,
  reportRunsQuery,
} from '../report-schemas.ts';
import { problems, waitQuery } from '../schemas.ts';
import { type App, present, type RouteContext } from './context.ts';

const MEDIA_TYPES: Readonly<Record<ResultFormat, string>> = {
  json: 'application/json; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  parquet: 'application/vnd.apache.parquet',
  html: 'text/html; charset=utf-8',
};
/** The page has no script and needs nothing; a browser need not take our word for it. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

const describe = (run: ReportRun) => ({
  id: run.id,
  report: run.report,
  version: run.version,
  reason: run.reason,
  state: run.state,
  period: { from: iso(run.fromMs)!, to: iso(run.toMs)!, tz: run.timeZone },
  parameters: { ...run.parameters },
  definition_version: run.definitionVersion,
  data_version: (run.dataVersion as Record<string, number[]> | undefined) ?? null,
  missed: run.missed,
  requested_at: iso(run.requestedAtMs)!,
  started_at: iso(run.startedAtMs),
  ended_at: iso(run.endedAtMs),
  error: run.error ?? null,
  files: run.files.map((file) => ({ ...file, question: file.question ?? null })),
});

export function reportRoutes(app: App, { reports, catalog, clock, tenantOf }: RouteContext): void {
  const runsPath = '/v1/reports/:report/runs';
  const runPath = `${runsPath}/:id`;
  const known = (request: Parameters<typeof tenantOf>[0], report: string) => {
    const tenant = tenantOf(request);
    const definition = catalog.object(tenant, 'report', report)?.definition;
    if (definition) return { tenant, definition };
    throw new MillraceError(
      'unknown-report',
      `There is no report ${JSON.stringify(report)}. PUT /v1/reports/NAME makes one; GET /v1/reports lists them.`,
    );
  };
  const find = async (request: Parameters<typeof tenantOf>[0], report: string, id: string) => {
    const { tenant } = known(request, report);
    return { tenant, run: await reports.wait(tenant, report, id, 0) };
  };

  app.post(
    runsPath,
    {
      schema: {
        operationId: 'runReport',
        summary: 'Runs a report now',
        description:
          'About the newest period that has ended, or the one that is asked for. Answers 200 with the ended run, or 202 ' +
          'while it goes on. A run that is done keeps its results for as long as the report says.',
        tags: ['Reports'],
        params: reportParams,
        querystring: waitQuery,
        body: reportRunRequest,
        response: {
          200: reportRunAnswer,
          202: reportRunAnswer,
          ...problems('bad-question', 'unauthorized', 'unknown-report', 'too-busy'),
        },
      },
    },
    async (request, reply) => {
      const { tenant, definition } = known(request, request.params.report);
      const { from, to, parameters, data_version: dataVersion } = request.body;
      const issues: Issue[] = [];
      const moment = (which: 'from' | 'to', value: string | number | undefined) =>
        parseTime(
          which,
          value === undefined ? undefined : String(value),
          clock.now(),
          definition.timeZone,
          (path, message) => issues.push({ path, message }),
        );
      const wish = present({ fromMs: moment('from', from), toMs: moment('to', to), parameters, dataVersion });
      if (issues.length > 0)
        throw new MillraceError('bad-question', 'The period is not understood.', { issues });
      const { id } = await reports.start(tenant, definition.name, wish);
      const run = await reports.wait(tenant, definition.name, id, request.query.wait * 1_000);
      reply
        .code(run.endedAtMs === undefined ? 202 : 200)
        .header('location', `/v1/reports/${definition.name}/runs/${id}`);
      return describe(run) as never;
    },
  );

  app.get(
    runsPath,
    {
      schema: {
        operationId: 'listReportRuns',
        summary: 'Runs of a report, the newest period first',
        tags: ['Reports'],
        params: reportParams,
        querystring: reportRunsQuery,
        response: { 200: reportRunsAnswer, ...problems('bad-request', 'unauthorized', 'unknown-report') },
      },
    },
    async (request) => {
      const { tenant, definition } = known(request, request.params.report);
      return { runs: (await reports.list(tenant, definition.name, request.query.limit)).map(describe) };
    },
  );

  app.get(
    runPath,
    {
      schema: {
        operationId: 'getReportRun',
        summary: 'One run of a report',
        tags: ['Reports'],
        params: reportRunParams,
        response: { 200: reportRunAnswer, ...problems('unauthorized', 'unknown-report', 'not-found') },
      },
    },
    async (request) => {
      const { tenant, run } = await find(request, request.params.report, request.params.id);
      return { ...describe(run), stale: (await reports.isStale(tenant, run)) ?? null };
    },
  );

  app.get(
    `${runPath}/result`,
    {
      schema: {
        operationId: 'getReportResult',
        summary: 'What a run found, as a file',
        tags: ['Reports'],
        params: reportRunParams,
        querystring: reportResultQuery,
        response: {
          200: {
            description: 'The file, byte for byte as it was written',
            content: Object.fromEntries(
              Object.values(MEDIA_TYPES).map((type) => [type.split(';')[0]!, { schema: z.string() }]),
            ),
          },
          ...problems('bad-request', 'unauthorized', 'unknown-report', 'not-found'),
        },
      },
    },
    async (request, typed) => {
      const reply = typed as unknown as FastifyReply;
      const { tenant, run } = await find(request, request.params.report, request.params.id);
      const file = fileOf(run, request.query.format, request.query.question);
      const bytes = await reports.read(tenant, run, file);
      return reply
        .type(MEDIA_TYPES[file.format])
        .header(
          'content-disposition',
          `attachment; filename="${run.report}-${run.id}-${file.name.replace(/^_/, '')}"`,
        )
        .header('content-security-policy', PAGE_POLICY)
        .header('etag', `"${file.sha256}"`)
        .send(Buffer.from(bytes)) as never;
    },
  );

  app.delete(
    runPath,
    {
      schema: {
        operationId: 'cancelReportRun',
        summary: 'Ends a run of a report',
        description: 'Answers when it has ended; one that had ended before stays as it is.',
        tags: ['Reports'],
        params: reportRunParams,
        response: { 200: reportRunAnswer, ...problems('unauthorized', 'unknown-report', 'not-found') },
      },
    },
    async (request) => {
      const { report, id } = request.params;
      const { tenant } = known(request, report);
      return describe(await reports.cancel(tenant, report, id));
    },
  );
}

function fileOf(run: ReportRun, format: ResultFormat, question: string | undefined) {
  if (run.state !== 'done')
    throw new MillraceError(
      'not-found',
      `The run ${run.id} is ${run.state}: it has no results${run.error === undefined ? '' : ` (${run.error})`}.`,
    );
  const files = run.files.filter((file) => file.format === format);
  const isOfAll = files.some((file) => file.question === undefined);
  const fitting = isOfAll
    ? files
    : files.filter((file) => question === undefined || file.question === question);
  if (fitting.length === 1) return fitting[0]!;
  const names = files.map((file) => file.question).join(', ');
  throw new MillraceError(
    'bad-request',
    `question: each has a ${format} file of its own; name one of ${names}`,
  );
}
