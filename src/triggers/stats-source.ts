/** What a trigger sees of a stream: the answers to its question, one for each moment. */
import type { TenantId } from '../base/brand.ts';
import type { TriggerDefinition, TriggerSource } from '../define/model.ts';
import type { Stats } from '../stats/port.ts';
import type { Finding } from './decide.ts';
import { comparedWith, lagsOf } from './earlier.ts';
import { groupKey, groupOf, numberOf, parseRows } from './groups.ts';
import { GROUPS_MAX, type GroupRecord } from './records.ts';

export type StatsSource = Extract<TriggerSource, { readonly kind: 'stats' }>;

/** Moments that were missed and are looked at afterwards. */
const MISSED_MAX = 60;

/** The next moment to look at; undefined: none has come. Moments lie at multiples of `every` since 1970. */
export function nextMoment({ everyMs }: StatsSource, lastMs: number, nowMs: number): number | undefined {
  const newest = Math.floor(nowMs / everyMs) * everyMs;
  const next = Math.floor(lastMs / everyMs) * everyMs + everyMs;
  const first = Math.max(next, newest - (MISSED_MAX - 1) * everyMs);
  return first <= newest ? first : undefined;
}

export async function readStats(
  stats: Stats,
  about: {
    readonly tenant: TenantId;
    readonly trigger: TriggerDefinition;
    readonly on: StatsSource;
    readonly groups: ReadonlyMap<string, GroupRecord>;
    readonly atMs: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<readonly Finding[]> {
  const { trigger, groups, atMs } = about;
  const [now, ...before] = await answersAt(stats, about, [0, ...lagsOf(trigger.when)]);
  const lags = lagsOf(trigger.when);
  const numbers = (key: string, ms: number) => before[lags.indexOf(atMs - ms)]?.get(key)?.value;
  const missing = isCounting(trigger.measure) ? 0 : null;
  const found = new Map(now);
  // Groups of which there is no event are not in an answer.
  if (found.size < GROUPS_MAX) {
    for (const [key, { group }] of groups) if (!found.has(key)) found.set(key, { group, value: missing });
  }
  return [...found].map(([key, { group, value }]): Finding => {
    const alive = value !== null && value !== 0 ? { aliveAtMs: atMs } : {};
    const compared = comparedWith(trigger.when, key, atMs, numbers);
    return { key, group, observation: { atMs, value, ...compared, ...alive } };
  });
}

type Numbers = ReadonlyMap<string, { readonly group: Finding['group']; readonly value: number | null }>;

/** One after the other: a trigger takes one place among the questions of its tenant. */
async function answersAt(
  stats: Stats,
  {
    tenant,
    trigger,
    on,
    atMs,
    signal,
  }: {
    readonly tenant: TenantId;
    readonly trigger: TriggerDefinition;
    readonly on: StatsSource;
    readonly atMs: number;
    readonly signal?: AbortSignal | undefined;
  },
  lags: readonly number[],
): Promise<readonly Numbers[]> {
  const answers: Numbers[] = [];
  for (const lag of lags) {
    const answer = await stats.ask(
      tenant,
      on.stream,
      {
        fn: [trigger.measure],
        from: String(atMs - lag - on.overMs),
        to: String(atMs - lag),
        ...(trigger.by.length === 0 ? {} : { by: trigger.by.join(',') }),
        ...(on.where.length === 0 ? {} : { where: on.where }),
        limit: String(GROUPS_MAX),
      },
      signal,
    );
    const column = answer.columns.at(-1)!.name;
    const rows = parseRows<readonly Record<string, unknown>[]>(answer.rowsJson);
    answers.push(
      new Map(
        rows.map((row) => [
          groupKey(trigger.by, row),
          { group: groupOf(trigger.by, row), value: numberOf(row[column]) },
        ]),
      ),
    );
  }
  return answers;
}

/** Without events such a measure is 0, and others are nothing. */
export const isCounting = (measure: string): boolean => /^(count|rate|sum|unique)\b/.test(measure);
