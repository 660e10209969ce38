/** What a trigger would have done with what is stored now: the same machine over history, and nothing is told. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { TriggerDefinition, WindowDefinition } from '../define/model.ts';
import { decide, type Finding } from './decide.ts';
import { apartMs, comparedWith, keyOfWindow, lagsOf, numbersOf, windowNumbers } from './earlier.ts';
import type { EvaluationParts } from './evaluation.ts';
import { groupKey, groupOf } from './groups.ts';
import type { TestAnswer, TestedFiring } from './port.ts';
import { type GroupRecord, type Head, ruleOf } from './records.ts';
import { readStats } from './stats-source.ts';

interface TestRange {
  readonly fromMs: number;
  readonly toMs: number;
  readonly nowMs: number;
}

/** Questions that one test may ask. */
const MOMENTS_MAX = 1_500;
const ROWS_MAX = 200_000;
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
      const about = { tenant, trigger, on, groups: history.groups, atMs, signal };
      history.look(await readStats(parts.stats(), about), atMs);
    }
    return history.answer();
  }
  const window = parts.catalog.object(tenant, 'window', trigger.on.window)?.definition;
  if (!window) throw new MillraceError('unknown-window', `There is no window "${trigger.on.window}".`);
  const apart = apartMs(window) ?? 0;
  const about = { tenant, window, measure: trigger.measure, rowsMax: ROWS_MAX, signal };
  const read = (fromMs: number, toMs: number) =>
    windowNumbers(parts.engine, { ...about, fromMs: Math.floor(fromMs), toMs: Math.ceil(toMs) });
  const rows = await read(range.fromMs, range.toMs);
  const before = [];
  for (const lag of lagsOf(trigger.when))
    before.push(...(await read(range.fromMs - lag - apart / 2, range.toMs - lag + apart / 2)));
  if (rows.length >= ROWS_MAX || before.length >= ROWS_MAX)
    throw tooMuch(`more than ${ROWS_MAX} results of the window`);
  const numbers = numbersOf(window, before);
  let at = 0;
  while (at < rows.length) {
    const endMs = rows[at]!.endMs;
    const found = new Map<string, Finding>();
    for (; rows[at]?.endMs === endMs; at += 1) {
      const { keys, value } = rows[at]!;
      const key = keyOfWindow(window, { keys });
      const group = groupOf(window.by, Object.fromEntries(window.by.map((name, i) => [name, keys[i]])));
      const alive = value !== null && value !== 0 ? { aliveAtMs: endMs } : {};
      const compared = comparedWith(trigger.when, key, endMs, numbers);
      found.set(key, { key, group, observation: { atMs: endMs, value, ...compared, ...alive } });
    }
    history.silentUntil(endMs);
    history.look([...found.values(), ...history.withoutResult(window, found, endMs)], endMs);
  }
  history.silentUntil(Math.min(range.toMs, range.nowMs));
  return history.answer();
}

/** States as they would have been. */
class History {
  readonly #trigger: TriggerDefinition;
  #head: Head;
  #groups = new Map<string, GroupRecord>();
  #observations = 0;
  readonly #firings = new Map<string, TestedFiring>();

  constructor(trigger: TriggerDefinition, { fromMs }: TestRange) {
    this.#trigger = trigger;
    this.#head = {
      ...{ rule: ruleOf(trigger), offsets: [], atMs: fromMs, newestEndMs: 0, told: 0, ignored: 0 },
      mutes: [],
    };
    // Without groups there is one, and it may be silent from the start.
    if (trigger.when.kind === 'absent' && trigger.by.length === 0)
      this.look([{ key: groupKey([], {}), group: {}, observation: { atMs: fromMs, value: null } }], fromMs);
  }

  get groups(): ReadonlyMap<string, GroupRecord> {
    return this.#groups;
  }

  look(findings: readonly Finding[], nowMs: number): void {
    this.#observations += findings.length;
    const decided = decide(this.#trigger, this.#head, this.#groups, findings, nowMs);
    this.#head = { ...this.#head, ...decided.head };
    for (const [key, record] of decided.groups) {
      if (record) this.#groups.set(key, record);
      else this.#groups.delete(key);
    }
    for (const { group, told } of decided.told) {
      const known = this.#firings.get(told.id);
      if (told.status === 'resolved' && known)
        this.#firings.set(told.id, { ...known, resolvedAtMs: told.atMs });
      if (told.status === 'resolved' || this.#firings.size >= FIRINGS_MAX) continue;
      const { sinceMs, atMs: firedAtMs, value } = told;
      this.#firings.set(told.id, { group, sinceMs, firedAtMs, resolvedAtMs: undefined, value });
    }
  }

  /** Absence comes between results: each group is looked at when it has been silent for long enough. */
  silentUntil(toMs: number): void {
    const { when, forMs } = this.#trigger;
    if (when.kind !== 'absent') return;
    for (let steps = 0; steps < 3; steps += 1) {
      const due = [...this.#groups].flatMap(([key, { group, state }]): Finding[] => {
        if (state.phase === 'firing') return [];
        const atMs =
          state.phase === 'inactive'
            ? (state.aliveAtMs ?? state.atMs) + when.forMs
            : Math.max(state.sinceMs + forMs, state.silentUntilMs ?? 0);
        return atMs <= toMs && atMs >= state.atMs ? [{ key, group, observation: { atMs, value: null } }] : [];
      });
      if (due.length === 0) return;
      this.look(due, toMs);
    }
  }

  /** Groups that had no event in a window that others had a result of. */
  withoutResult(
    window: WindowDefinition,
    found: ReadonlyMap<string, unknown>,
    endMs: number,
  ): readonly Finding[] {
    if (this.#trigger.when.kind === 'absent' || apartMs(window) === undefined) return [];
    const fn = window.measures.find(({ name }) => name === this.#trigger.measure)?.measure.fn;
    const value = fn === 'count' || fn === 'sum' || fn === 'unique' ? 0 : null;
    return [...this.#groups]
      .filter(([key, { state }]) => !found.has(key) && state.atMs < endMs)
      .map(([key, { group }]) => ({ key, group, observation: { atMs: endMs, value } }));
  }

  answer(): TestAnswer {
    const firings = [...this.#firings.values()].sort((a, b) => a.firedAtMs - b.firedAtMs);
    return { observations: this.#observations, firings, isCut: this.#firings.size >= FIRINGS_MAX };
  }
}

const tooMuch = (what: string): MillraceError =>
  new MillraceError('bad-request', `The range holds ${what}; test a shorter one.`);
