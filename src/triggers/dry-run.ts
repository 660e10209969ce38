/** What a trigger would have done with what is stored now: the same rules over history, and nothing is told. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { TriggerDefinition } from '../define/model.ts';
import { lookThrough } from './closed-windows.ts';
import { Deciding } from './decide.ts';
import { type WindowNumber, windowNumbers } from './earlier.ts';
import { type Ends, endsOf } from './ends.ts';
import type { EvaluationParts } from './evaluation.ts';
import { groupKey } from './groups.ts';
import type { TestAnswer, TestedFiring } from './port.ts';
import { readClosed, type WatchedWindow } from './read-closed.ts';
import { windowOf } from './records.ts';
import { lookAtStats } from './stats-source.ts';

interface TestRange {
  readonly fromMs: number;
  readonly toMs: number;
  readonly nowMs: number;
}

/** Questions that one test may ask. */
const MOMENTS_MAX = 1_500;
const RESULTS_MAX = 200_000;
const FIRINGS_MAX = 10_000;

export async function dryRun(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  range: TestRange,
  signal?: AbortSignal,
): Promise<TestAnswer> {
  const history = new History(trigger, range);
  if (trigger.on.kind === 'stats') {
    const { on } = trigger;
    const first = Math.ceil(range.fromMs / on.everyMs) * on.everyMs;
    const last = Math.min(range.toMs, range.nowMs);
    const moments = Math.floor((last - first) / on.everyMs) + 1;
    if (moments > MOMENTS_MAX)
      throw tooMuch(`${moments} moments, and a test looks at ${MOMENTS_MAX} at most`);
    for (let atMs = first; atMs <= last; atMs += on.everyMs) {
      await lookAtStats(parts.stats(), { tenant, trigger, on, atMs, signal }, history.deciding);
    }
    return history.answer(moments);
  }
  const window = windowOf(parts.catalog, tenant, trigger);
  const stream = parts.catalog.stream(tenant, trigger.on.window)?.definition;
  if (!window || !stream)
    throw new MillraceError('unknown-window', `There is no window "${trigger.on.window}".`);
  const watched = { tenant, trigger, window, stream, signal };
  const ends = endsOf(window);
  if (ends === undefined || trigger.when.kind === 'absent') return lookAtAll(parts, watched, history, range);
  const closedMs = (await parts.closedSoFar?.(tenant, window.name)) ?? range.fromMs;
  const toMs = ends.upTo(Math.min(range.toMs, range.nowMs, closedMs));
  return lookAtEnds(parts, watched, history, ends, range.fromMs - 1, toMs);
}

async function lookAtEnds(
  parts: EvaluationParts,
  watched: WatchedWindow,
  history: History,
  ends: Ends,
  fromMs: number,
  toMs: number,
): Promise<TestAnswer> {
  const { trigger, window } = watched;
  const about = { ...watched, measure: trigger.measure, afterMs: fromMs, toMs };
  // What was silent before the first result may not have been there at all.
  const [first] = await windowNumbers(parts.engine, { ...about, rowsMax: 1 });
  let results = 0;
  let afterMs = first === undefined ? toMs : ends.upTo(first.endMs - 1);
  while (afterMs < toMs) {
    const portion = await readClosed(parts.engine, watched, ends, afterMs, toMs);
    results += portion.results.length;
    if (results > RESULTS_MAX)
      throw tooMuch(`more than ${RESULTS_MAX} results of the window "${window.name}"`);
    lookThrough({ deciding: history.deciding, trigger, window, ends, afterMs, ...portion });
    afterMs = portion.toMs;
    watched.signal?.throwIfAborted();
  }
  return history.answer(results);
}

/** Sessions, and signs of life: only results say anything, or the time between them. */
async function lookAtAll(
  parts: EvaluationParts,
  watched: WatchedWindow,
  history: History,
  { fromMs, toMs, nowMs }: TestRange,
): Promise<TestAnswer> {
  const about = { ...watched, measure: watched.trigger.measure, afterMs: fromMs - 1, toMs };
  const results = await windowNumbers(parts.engine, { ...about, rowsMax: RESULTS_MAX + 1 });
  if (results.length > RESULTS_MAX) throw tooMuch(`more than ${RESULTS_MAX} results of the window`);
  for (const one of results) {
    history.silentUntil(one.endMs);
    history.lookAt(one);
  }
  history.silentUntil(Math.min(toMs, nowMs));
  return history.answer(results.length);
}

/** States as they would have been. */
class History {
  readonly deciding: Deciding;
  readonly #trigger: TriggerDefinition;

  constructor(trigger: TriggerDefinition, { fromMs, nowMs }: TestRange) {
    this.#trigger = trigger;
    this.deciding = new Deciding(trigger, { told: 0, ignored: 0, mutes: [] }, new Map(), nowMs);
    // Without groups there is one, and it may be silent from the start.
    if (trigger.on.kind === 'window' && trigger.when.kind === 'absent' && trigger.by.length === 0)
      this.deciding.look({ key: groupKey([], {}), group: {}, observation: { atMs: fromMs, value: null } });
  }

  lookAt({ key, group, endMs, value }: WindowNumber): void {
    const alive = value !== null && value !== 0 ? { aliveAtMs: endMs } : {};
    this.deciding.look({ key, group, observation: { atMs: endMs, value, ...alive } });
  }

  /** Absence comes between results: each group is looked at when it has been silent for long enough. */
  silentUntil(toMs: number): void {
    const { when, forMs } = this.#trigger;
    if (when.kind !== 'absent') return;
    for (let steps = 0; steps < 3; steps += 1) {
      for (const [key, { group, state }] of [...this.deciding.groups]) {
        if (state.phase === 'firing') continue;
        const atMs =
          state.phase === 'inactive'
            ? (state.aliveAtMs ?? state.atMs) + when.forMs
            : Math.max(state.sinceMs + forMs, state.silentUntilMs ?? 0);
        if (atMs <= toMs && atMs >= state.atMs)
          this.deciding.look({ key, group, observation: { atMs, value: null } });
      }
    }
  }

  answer(observations: number): TestAnswer {
    const firings = new Map<string, TestedFiring>();
    for (const { group, told } of this.deciding.decision().told) {
      const known = firings.get(told.id);
      if (told.status === 'resolved' && known) firings.set(told.id, { ...known, resolvedAtMs: told.atMs });
      if (told.status === 'resolved' || firings.size >= FIRINGS_MAX) continue;
      const { sinceMs, atMs: firedAtMs, value } = told;
      firings.set(told.id, { group, sinceMs, firedAtMs, resolvedAtMs: undefined, value });
    }
    return { observations, firings: [...firings.values()], isCut: firings.size >= FIRINGS_MAX };
  }
}

const tooMuch = (what: string): MillraceError =>
  new MillraceError('bad-request', `The range holds ${what}; test a shorter one.`);
