/** From a question as it was written to one that only has to be answered: what is asked, of when, from which tables. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type Catalog, eventsCompleteSince, type Versioned } from '../catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { Engine } from '../store/index.ts';
import type { Dimensions } from '../tables/port.ts';
import type { LateArrivals, Watermarks } from '../watermarks/index.ts';
import type { Range } from './answer.ts';
import { type Standing, standingAt } from './finality.ts';
import { type Freshness, freshnessOf } from './freshness.ts';
import { type OrderKey, parseQuestion, type Question } from './parse.ts';
import { type Plan, planQuestion } from './plan.ts';
import type { StatsRequest } from './port.ts';
import { floorToDay, plannedEnd, rangeOf, startsOf } from './range.ts';

/** Everything that an answer depends on, but for what is stored. */
export interface PreparedQuestion {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly question: Question;
  /** How good an answer is that is given from now on. */
  readonly freshness: Freshness;
  /** What the watermark says, taken before the question is put. */
  readonly standing: Standing | undefined;
  readonly isFiltered: boolean;
  readonly range: Range;
  /** Starts of the answer's buckets, epoch ms; empty for one total. */
  readonly starts: readonly number[];
  readonly plan: Plan;
  /** The rollup of the plan. */
  readonly rollup: Versioned<RollupDefinition> | undefined;
  /** In which order the rows of a total come, before it is cut. */
  readonly totalOrder: readonly OrderKey[];
}

export interface PrepareParts {
  readonly engine: Pick<Engine, 'rows'>;
  readonly catalog: Pick<Catalog, 'stream' | 'rollups' | 'setting'>;
  readonly log: Pick<Log, 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly clock: Clock;
  /** Absent: there are no dimension tables. */
  readonly tables?: Pick<Dimensions, 'definition'> | undefined;
  /** Absent: no answer is known to be final. */
  readonly watermarks?: Pick<Watermarks & LateArrivals, 'of' | 'late' | 'duplicates'>;
}

/** Asks the engine only for the earliest event, when the question does not say from when on. */
export async function prepareQuestion(
  { engine, catalog, log, ingest, clock, tables, watermarks }: PrepareParts,
  tenant: TenantId,
  streamName: string,
  request: StatsRequest,
  nowMs = clock.now(),
): Promise<PreparedQuestion> {
  const stream = streamOf(catalog, tenant, streamName);
  const question = parseQuestion(
    request,
    stream,
    nowMs,
    (name) => tables?.definition(tenant, name)?.definition,
  );
  const freshness = freshnessOf(log, ingest, tenant, stream, nowMs);
  const standing = standingAt(watermarks, tenant, stream.name);
  const isFiltered = request.rowFilter !== undefined;
  const rollups = rollupsOf(catalog, tenant, stream.name);
  const range = await rangeOf(engine, tenant, stream, rollups, question);
  const starts = startsOf(question, range);
  // What lies before the earliest event may be counted too: whole buckets of the widest tier are cheaper.
  const plannedFromMs =
    question.fromMs === undefined ? Math.min(range.toMs, floorToDay(range.fromMs)) : range.fromMs;
  const plan = planQuestion({
    stream,
    question,
    fromMs: plannedFromMs,
    toMs: plannedEnd(question, stream, range.toMs, starts),
    starts,
    rollups,
    // Read only when the events are to answer.
    get eventsCompleteSinceMs() {
      return eventsCompleteSince(catalog, tenant, stream.name);
    },
  });
  const rollup = rollups.find(({ definition }) => definition.name === plan.rollup?.name);
  const totalOrder = totalOrderOf(question);
  const asked = { tenant, stream, question, freshness, standing, isFiltered };
  return { ...asked, range, starts, plan, rollup, totalOrder };
}

/** The rollups that may answer. */
export const rollupsOf = (
  catalog: Pick<Catalog, 'rollups'>,
  tenant: TenantId,
  stream: string,
): readonly Versioned<RollupDefinition>[] =>
  catalog.rollups(tenant).filter(({ definition }) => definition.from === stream);

export function streamOf(catalog: Pick<Catalog, 'stream'>, tenant: TenantId, name: string): StreamDefinition {
  const found = catalog.stream(tenant, name);
  if (found) return found.definition;
  throw new MillraceError(
    'unknown-stream',
    `There is no stream "${name}". PUT /v1/streams/${name} makes it.`,
  );
}

/** Without `every`, the greatest value of the first function that has an order comes first. */
function totalOrderOf({ order, functions, by }: Question): readonly OrderKey[] {
  if (order.length > 0 || by.length === 0) return order;
  const first = functions.findIndex((one) => one.fn !== 'top');
  return first < 0 ? [] : [{ of: { function: first }, descending: true }];
}
