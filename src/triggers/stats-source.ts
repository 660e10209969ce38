/** What a trigger sees of a stream: the answers to its question, one for each moment. */
import type { TenantId } from '../base/brand.ts';
import type { TriggerDefinition, TriggerSource } from '../define/model.ts';
import type { Stats } from '../stats/port.ts';
import type { Deciding } from './decide.ts';
import { comparedWith, momentsBefore } from './earlier.ts';
import { type Group, groupKey, groupOf, numberOf, parseRows } from './groups.ts';
import { GROUPS_MAX } from './records.ts';

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

interface Asked {
  readonly tenant: TenantId;
  readonly trigger: TriggerDefinition;
  readonly on: StatsSource;
  readonly atMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks at all groups of the answer, at those that are remembered, and, where numbers are compared, at those that had one
 * earlier. `isWhole`: no group was left out because there were too many.
 */
export async function lookAtStats(
  stats: Pick<Stats, 'ask'>,
  asked: Asked,
  deciding: Deciding,
): Promise<{ readonly isWhole: boolean }> {
  const { trigger, atMs } = asked;
  const moments = momentsBefore(trigger.when, atMs, 'UTC');
  const [now, ...before] = await answersAt(stats, asked, [atMs, ...moments]);
  const isWhole = now!.size < GROUPS_MAX;
  const missing = isCounting(trigger.measure) ? 0 : null;
  const found = new Map(now);
  // Groups of which there is no event are not in an answer.
  if (isWhole) {
    for (const [key, { group }] of [...deciding.groups, ...before.flatMap((one) => [...one])])
      if (!found.has(key)) found.set(key, { group, value: missing });
  }
  for (const [key, { group, value }] of found) {
    const alive = value !== null && value !== 0 ? { aliveAtMs: atMs } : {};
    const compared = comparedWith(
      trigger.when,
      before.map((one) => earlierValue(one.get(key)?.value, trigger.measure)),
    );
    deciding.look({ key, group, observation: { atMs, value, ...compared, ...alive } });
  }
  return { isWhole };
}

type Numbers = ReadonlyMap<string, { readonly group: Group; readonly value: number | null }>;

/** One after the other: a trigger takes one place among the questions of its tenant. */
async function answersAt(
  stats: Pick<Stats, 'ask'>,
  { tenant, trigger, on, signal }: Asked,
  moments: readonly number[],
): Promise<readonly Numbers[]> {
  const answers: Numbers[] = [];
  for (const atMs of moments) {
    const answer = await stats.ask(
      tenant,
      on.stream,
      {
        fn: [trigger.measure],
        from: String(atMs - on.overMs),
        to: String(atMs),
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

/** Where there was no event there is no number to compare with, though a count of it is 0. */
const earlierValue = (value: number | null | undefined, measure: string): number | null | undefined =>
  value === 0 && isCounting(measure) ? undefined : value;

/** Without events such a measure is 0, and others are nothing. */
export const isCounting = (measure: string): boolean => /^(count|rate|sum|unique)\b/.test(measure);
