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
import type { Layout, Range } from './answer.ts';
import { type Standing, standingAt } from './finality.ts';
import { type Form, type Forms, formKey, formOf, readAgain } from './forms.ts';
import { type Freshness, freshnessOf } from './freshness.ts';
import { type OrderKey, parseQuestion, type Question } from './parse.ts';
import { type Plan, planWithFits } from './plan.ts';
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
  readonly layout: Layout;
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
  /** Absent: every question is parsed anew. */
  readonly forms?: Forms;
  /** Absent: no answer is known to be final. */
  readonly watermarks?: Pick<Watermarks & LateArrivals, 'of' | 'late' | 'duplicates'>;
}

/** Undefined: the engine has to be asked from when on (`prepareQuestion`). */
export function prepareAtOnce(
  parts: PrepareParts,
  tenant: TenantId,
  streamName: string,
  request: StatsRequest,
  nowMs: number,
): PreparedQuestion | undefined {
  if (isBlank(request.from)) return undefined;
  const read = readQuestion(parts, tenant, streamName, request, nowMs);
  const { fromMs, toMs } = read.question;
  return planned(parts, read, { fromMs: fromMs!, toMs });
}

/** Asks the engine only for the earliest event, when the question does not say from when on. */
export async function prepareQuestion(
  parts: PrepareParts,
  tenant: TenantId,
  streamName: string,
  request: StatsRequest,
  nowMs = parts.clock.now(),
): Promise<PreparedQuestion> {
  const read = readQuestion(parts, tenant, streamName, request, nowMs);
  return planned(
    parts,
    read,
    await rangeOf(parts.engine, tenant, read.stream, read.form.rollups, read.question),
  );
}

interface ReadQuestion
  extends Pick<PreparedQuestion, 'tenant' | 'stream' | 'question' | 'freshness' | 'standing' | 'isFiltered'> {
  readonly form: Form;
}

function readQuestion(
  { catalog, log, ingest, tables, watermarks, forms }: PrepareParts,
  tenant: TenantId,
  streamName: string,
  request: StatsRequest,
  nowMs: number,
): ReadQuestion {
  const stream = streamOf(catalog, tenant, streamName);
  const all = catalog.rollups(tenant);
  const key = forms && formKey(stream.name, request);
  let form = forms?.find(all, stream, key!);
  let question = form && readAgain(form, request, nowMs);
  if (!form || !question) {
    question = parseQuestion(request, stream, nowMs, (name) => tables?.definition(tenant, name)?.definition);
    form = formOf(stream, question, rollupsOf(catalog, tenant, stream.name));
    forms?.keep(all, key!, form);
  }
  return {
    tenant,
    stream,
    question,
    form,
    freshness: freshnessOf(log, ingest, tenant, stream, nowMs),
    standing: standingAt(watermarks, tenant, stream.name),
    isFiltered: request.rowFilter !== undefined,
  };
}

function planned({ catalog }: PrepareParts, read: ReadQuestion, range: Range): PreparedQuestion {
  const { tenant, stream, question, freshness, standing, isFiltered, form } = read;
  const starts = startsOf(question, range);
  // What lies before the earliest event may be counted too: whole buckets of the widest tier are cheaper.
  const plannedFromMs =
    question.fromMs === undefined ? Math.min(range.toMs, floorToDay(range.fromMs)) : range.fromMs;
  const plan = planWithFits(
    {
      stream,
      question,
      starts,
      rollups: form.rollups,
      fromMs: plannedFromMs,
      toMs: plannedEnd(question, stream, range.toMs, starts),
      eventsCompleteSinceMs: () => eventsCompleteSince(catalog, tenant, stream.name),
    },
    form.fits,
  );
  const { layout, totalOrder } = form;
  return {
    tenant,
    stream,
    question,
    freshness,
    standing,
    isFiltered,
    range,
    starts,
    plan,
    layout,
    totalOrder,
  };
}

const isBlank = (text: string | undefined): boolean => text === undefined || text.trim() === '';

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
