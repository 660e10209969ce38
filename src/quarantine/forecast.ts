import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { hexId } from '../base/ids.ts';
import { EngineBatches } from '../ingest/index.ts';
import { guardExpression } from '../sql/index.ts';
import { countCandidates, readCandidates } from './candidates.ts';
import { checkCandidates } from './check.ts';
import type { ReasonCount, ReplayForecast, ReplayRequest } from './port.ts';
import { appliedOf, type ReplayParts } from './replay.ts';

const EXAMINED_MAX = 1_000;
const SAMPLE = 10;

/** What a replay would do with the oldest records that fit. */
export async function forecast(
  parts: ReplayParts,
  tenant: TenantId,
  streamName: string,
  request: ReplayRequest,
): Promise<ReplayForecast> {
  const stream = parts.catalog.stream(tenant, streamName);
  if (!stream) throw new MillraceError('unknown-stream', `there is no stream ${JSON.stringify(streamName)}`);
  const { engine } = parts.area;
  const fix =
    request.fix === undefined ? undefined : await guardExpression(engine, request.fix, 'quarantined');
  const until = appliedOf(parts, { tenant, stream: streamName });
  const query = { tenant, stream: stream.definition, request, fix, after: undefined, until };
  const candidates = await readCandidates(engine, query, EXAMINED_MAX);
  const id = hexId(parts.ids, parts.clock);
  const batches = new EngineBatches(parts.area, `try_${streamName}_${id}`);
  try {
    const checked = await checkCandidates(batches, tenant, stream, candidates, {
      nowMs: parts.clock.now(),
      eventBytesMax: parts.eventBytesMax,
    });
    const stillBad = new Map<string, ReasonCount>();
    for (const { problem } of checked) {
      if (!problem) continue;
      const key = JSON.stringify([problem.field, problem.reason]);
      stillBad.set(key, { ...problem, count: (stillBad.get(key)?.count ?? 0) + 1 });
    }
    return {
      candidates: await countCandidates(engine, query),
      examined: checked.length,
      wouldStore: checked.filter(({ problem }) => !problem).length,
      stillBad: [...stillBad.values()].sort((a, b) => b.count - a.count),
      sample: checked.slice(0, SAMPLE).map(({ candidate, problem }) => ({
        line: candidate.line.toString('utf8'),
        fixed: candidate.fixed.toString('utf8'),
        problem: problem ? `${problem.field === '' ? '' : `${problem.field} `}${problem.reason}` : null,
      })),
    };
  } finally {
    await batches.close().catch(() => undefined);
  }
}
