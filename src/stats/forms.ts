/**
 * The form of a question: what stays when it is asked again of another time or about other values. A service that asks about a
 * hundred thousand customers asks questions of one form; it is parsed once, and which rollups can answer it is found once.
 *
 *   fn=count & every=1m & where=customer:eq:42 & from=-1h
 *   └─────────── form ─────────────────────┘└┴─ values ─┘
 *
 * A form stands as long as the definitions that it was made of: they are the same objects until any of them changes.
 */
import type { Versioned } from '../catalog/port.ts';
import type { Field, RollupDefinition, StreamDefinition } from '../define/model.ts';
import { type Layout, layoutOf } from './answer.ts';
import { isJoined } from './joins.ts';
import { FILTER_ZONE, type OrderKey, parseMaxAge, parseRange, type Question } from './parse.ts';
import { type Fit, fitsOf } from './plan.ts';
import type { StatsRequest } from './port.ts';
import { type Condition, headOf, type Operator, valuesOf } from './where.ts';

export interface Form {
  readonly stream: StreamDefinition;
  readonly question: Omit<Question, 'fromMs' | 'toMs' | 'openEnd' | 'where' | 'rowFilter'>;
  /** Of the question, then of the asker's key. */
  readonly where: readonly { readonly field: Field; readonly op: Operator }[];
  /** Of the stream. */
  readonly rollups: readonly Versioned<RollupDefinition>[];
  /** Those that can answer. */
  readonly fits: readonly Fit[];
  readonly layout: Layout;
  /** In which order the rows of a total come, before it is cut. */
  readonly totalOrder: readonly OrderKey[];
}

/** Of the definitions of one tenant; who asks in more forms has them parsed again. */
const FORMS_MAX = 200;

export class Forms {
  readonly #kept = new WeakMap<readonly Versioned<RollupDefinition>[], Map<string, Form>>();

  /** `rollups`: all of the tenant, as the catalog tells them. */
  find(
    rollups: readonly Versioned<RollupDefinition>[],
    stream: StreamDefinition,
    key: string,
  ): Form | undefined {
    const form = this.#kept.get(rollups)?.get(key);
    return form?.stream === stream ? form : undefined;
  }

  keep(rollups: readonly Versioned<RollupDefinition>[], key: string, form: Form): void {
    // Tables change without their stream.
    if (form.question.by.some(isJoined) || form.where.some(({ field }) => isJoined(field))) return;
    const kept = this.#kept.get(rollups) ?? new Map<string, Form>();
    this.#kept.set(rollups, kept);
    if (kept.size >= FORMS_MAX) kept.clear();
    kept.set(key, form);
  }
}

/** Equal for questions of one form. */
export function formKey(stream: string, request: StatsRequest): string {
  const { fn, every, tz, by, order, limit, asof, where, rowFilter } = request;
  return JSON.stringify([
    stream,
    fn,
    every,
    tz,
    by,
    order,
    limit,
    asof,
    where?.map(headOf),
    rowFilter?.map(headOf),
  ]);
}

export function formOf(
  stream: StreamDefinition,
  { fromMs, toMs, openEnd, where, rowFilter, ...question }: Question,
  rollups: readonly Versioned<RollupDefinition>[],
): Form {
  return {
    ...{ stream, question, rollups },
    where: where.map(({ field, op }) => ({ field, op })),
    fits: fitsOf({ stream, rollups, question: { ...question, where } }),
    layout: layoutOf(question),
    totalOrder: totalOrderOf(question),
  };
}

/** The question that `parseQuestion` would read. Undefined: there is a mistake in it, which `parseQuestion` tells. */
export function readAgain(
  { question, where: heads }: Form,
  request: StatsRequest,
  nowMs: number,
): Question | undefined {
  const { every, zone } = question;
  let isGood = !Number.isNaN(parseMaxAge(request.max_age));
  const { fromMs, toMs } = parseRange(request, every, nowMs, zone, () => {
    isGood = false;
  });
  if (!isGood) return undefined;
  const where: Condition[] = [];
  const read = (texts: readonly string[], zoneOfTexts: string): boolean => {
    for (const text of texts) {
      const { field, op } = heads[where.length]!;
      const values = valuesOf(field, op, text.slice(headOf(text).length), nowMs, zoneOfTexts);
      if (typeof values === 'string') return false;
      where.push({ field, op, values });
    }
    return true;
  };
  if (request.where && !read(request.where, zone)) return undefined;
  const asked = where.length;
  if (request.rowFilter && !read(request.rowFilter, FILTER_ZONE)) return undefined;
  const { functions, by, asOfEvent, order, limit } = question;
  // Written out: to spread an object costs more than all of the above.
  return {
    functions,
    fromMs,
    toMs,
    openEnd: request.to === undefined,
    every,
    zone,
    by,
    asOfEvent,
    where,
    rowFilter: asked === where.length ? NO_CONDITIONS : where.slice(asked),
    order,
    limit,
  };
}

const NO_CONDITIONS: readonly Condition[] = [];

/** Without `every`, the greatest value of the first function that has an order comes first. */
function totalOrderOf({ order, functions, by }: Form['question']): readonly OrderKey[] {
  if (order.length > 0 || by.length === 0) return order;
  const first = functions.findIndex((one) => one.fn !== 'top');
  return first < 0 ? [] : [{ of: { function: first }, descending: true }];
}
