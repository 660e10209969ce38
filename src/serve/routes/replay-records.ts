/** What the routes share that take records in again which were put aside. */
import { type Issue, MillraceError } from '../../base/errors.ts';
import type { ReplayRequest } from '../../quarantine/index.ts';
import { parseTime } from '../../stats/index.ts';
import { problems, quarantineForecast, runAnswer } from '../schemas.ts';
import { present, type RouteContext, streamOf } from './context.ts';
import { answerRun } from './started-run.ts';

export const replayResponses = {
  200: {
    description: 'What would happen, or the ended run',
    content: { 'application/json': { schema: quarantineForecast.or(runAnswer) } },
  },
  202: runAnswer,
  ...problems('bad-question', 'unauthorized', 'unknown-stream', 'too-busy'),
};

/** Fails with `bad-question`. */
export function rangeOf(
  from: string | undefined,
  to: string | undefined,
  nowMs: number,
): { readonly fromMs?: number; readonly toMs?: number } {
  const issues: Issue[] = [];
  const note = (path: string, message: string) => issues.push({ path, message });
  const [fromMs, toMs] = [
    parseTime('from', from, nowMs, 'UTC', note),
    parseTime('to', to, nowMs, 'UTC', note),
  ];
  if (issues.length > 0) throw new MillraceError('bad-question', 'The range is not understood.', { issues });
  return present({ fromMs, toMs });
}

export async function replayOrForecast(
  context: RouteContext,
  request: Parameters<RouteContext['tenantOf']>[0] & {
    readonly params: { readonly stream: string };
    readonly query: { readonly wait: number };
  },
  reply: unknown,
  wanted: ReplayRequest,
  isDry: boolean,
): Promise<unknown> {
  const { quarantineReplay, runs, tenantOf } = context;
  const tenant = tenantOf(request);
  const { name } = streamOf(context, tenant, request.params.stream).definition;
  if (!isDry) {
    const run = await quarantineReplay.start(tenant, name, wanted);
    return answerRun(reply, runs, tenant, run, request.query.wait);
  }
  const { wouldStore, stillBad, ...forecast } = await quarantineReplay.forecast(tenant, name, wanted);
  return { dry_run: true, ...forecast, would_store: wouldStore, still_bad: stillBad };
}
