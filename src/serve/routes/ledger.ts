/** The proof: the ledger, what became of one request's records, and the duplicates. */
import type { z } from 'zod';
import { type Issue, MillraceError } from '../../base/errors.ts';
import { acknowledge } from '../../catalog/index.ts';
import type { LedgerCounts } from '../../ledger/port.ts';
import { parseTime } from '../../stats/index.ts';
import {
  acknowledgeAnswer,
  acknowledgeRequest,
  batchAnswer,
  duplicatesAnswer,
  duplicatesQuery,
  ledgerAnswer,
  ledgerQuery,
} from '../ledger-schemas.ts';
import { problems, streamParams } from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, streamOf } from './context.ts';

export function ledgerRoutes(app: App, context: RouteContext): void {
  const { catalog, ledger, duplicates, clock, logger, tenantOf } = context;
  const mistakes = problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy', 'query-timeout');

  app.get(
    '/v1/streams/:stream/ledger',
    {
      schema: {
        operationId: 'getLedger',
        summary: 'What was accepted and what became of it',
        description:
          'By time of arrival: accepted = stored + duplicates + quarantined + late_dropped + pending. The left side comes ' +
          'from the positions of the log, the right side from the rows of the store; both are compared record by record.',
        tags: ['Numbers'],
        params: streamParams,
        querystring: ledgerQuery,
        response: { 200: ledgerAnswer.or(batchAnswer), ...mistakes },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { stream } = request.params;
      const { batch, every, from, to, by, only, partition, limit, cursor } = request.query;
      const signal = goneSignal(reply);
      if (batch !== undefined) {
        const answer = await ledger.batch(tenant, stream, batch, signal);
        const { forgotten, balanced, exceptions } = answer;
        return { batch, ...countsOf(answer), forgotten, balanced, exceptions: [...exceptions] };
      }
      const issues: Issue[] = [];
      const note = (path: string, message: string) => issues.push({ path, message });
      const nowMs = clock.now();
      const asked = present({
        every,
        fromMs: parseTime('from', from, nowMs, 'UTC', note),
        toMs: parseTime('to', to, nowMs, 'UTC', note),
        partition,
        byPartition: by === 'partition',
        onlyMismatched: only === 'mismatched',
        limit,
        cursor,
      });
      if (issues.length > 0)
        throw new MillraceError('bad-question', 'The question has mistakes.', { issues });
      const answer = await ledger.ask(tenant, stream, asked, signal);
      return {
        every: answer.every,
        from: iso(answer.fromMs),
        to: iso(answer.toMs),
        rows: answer.rows.map((row) => ({
          start: iso(row.startMs),
          ...(row.partition === undefined ? {} : { partition: row.partition }),
          ...countsOf(row),
          ...{ balanced: row.balanced, sealed: row.sealed, source: row.source },
        })),
        totals: countsOf(answer.totals),
        balanced: answer.balanced,
        checked_to: answer.checkedToMs === undefined ? null : iso(answer.checkedToMs),
        next_cursor: answer.next,
      } satisfies z.infer<typeof ledgerAnswer>;
    },
  );

  app.post(
    '/v1/streams/:stream/ledger/acknowledge',
    {
      schema: {
        operationId: 'acknowledgeLedger',
        summary: 'Takes note of mismatches that stay',
        description:
          'Of sealed rows that do not balance and cannot be repaired, because what they miss is lost. They stay listed as ' +
          'they are; the marks go, and retention no longer waits for them. One that changes afterwards is a mismatch again.',
        tags: ['Operation'],
        params: streamParams,
        body: acknowledgeRequest,
        response: { 200: acknowledgeAnswer, ...mistakes },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const { from, to, partition } = request.body;
      const issues: Issue[] = [];
      const note = (path: string, message: string) => issues.push({ path, message });
      const fromMs = parseTime('from', from, clock.now(), 'UTC', note);
      const toMs = parseTime('to', to, clock.now(), 'UTC', note);
      if (issues.length > 0)
        throw new MillraceError('bad-question', 'The range is not understood.', { issues });
      const acknowledged = await acknowledge(catalog, tenant, name, present({ fromMs, toMs, partition }));
      logger.warn(
        { stream: name, from, to, partition, acknowledged },
        'mismatches of the ledger are acknowledged',
      );
      return { acknowledged };
    },
  );

  app.get(
    '/v1/streams/:stream/duplicates',
    {
      schema: {
        operationId: 'listDuplicates',
        summary: 'Arrivals that were not counted because their id was stored before',
        description:
          'Newest first, each with the arrival that was counted, as far as it can be found quickly.',
        tags: ['Events'],
        params: streamParams,
        querystring: duplicatesQuery,
        response: { 200: duplicatesAnswer, ...mistakes },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { stream } = request.params;
      const page = await duplicates.list(tenant, stream, present(request.query), goneSignal(reply));
      return {
        count: page.count,
        duplicates: page.records.map(({ partition, offset, received, time, id, first, firstUnknown }) => ({
          ...{ partition, offset, received, time, id, first },
          ...(firstUnknown === undefined ? {} : { first_unknown: firstUnknown }),
        })),
        next_cursor: page.next,
      };
    },
  );
}

const iso = (ms: number): string => new Date(ms).toISOString();

const countsOf = (counts: LedgerCounts) => ({
  accepted: counts.accepted,
  stored: counts.stored,
  duplicates: counts.duplicates,
  quarantined: counts.quarantined,
  late_dropped: counts.lateDropped,
  pending: counts.pending,
  missing: counts.missing,
  extra: counts.extra,
});
