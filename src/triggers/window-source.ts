/** What a trigger sees of a window: its results as they are stored, in the order of the log of their stream. */
import type { Offset, TenantId } from '../base/brand.ts';
import type { TriggerDefinition, WindowDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Events } from '../stats/port.ts';
import type { Engine } from '../store/index.ts';
import type { Finding } from './decide.ts';
import { apartMs, comparedWith, lagsOf, numbersOf, windowNumbers } from './earlier.ts';
import { groupKey, groupOf, numberOf, parseRows } from './groups.ts';
import type { GroupRecord, Head } from './records.ts';

export interface WindowSourceParts {
  readonly engine: Pick<Engine, 'rows'>;
  readonly events: () => Pick<Events, 'since'>;
  readonly ingest: Pick<Ingest, 'state'>;
  /**
   * Every result of windows of this definition that end at or before the moment is stored. Absent: a group without a new
   * result stays as it is.
   */
  readonly closedThrough?: ((tenant: TenantId, window: string) => number | undefined) | undefined;
}

export interface Found {
  readonly findings: readonly Finding[];
  /** What the head is then. */
  readonly head: Partial<Pick<Head, 'offsets' | 'atMs'>>;
  /** There is more to look at, now. */
  readonly isMore: boolean;
}

/** Results that are looked at together. */
const ROWS_AT_ONCE = 1_000;

export const appliedOffsets = (
  { ingest }: Pick<WindowSourceParts, 'ingest'>,
  tenant: TenantId,
  stream: { readonly name: string; readonly partitions: number },
): readonly Offset[] =>
  Array.from(
    { length: stream.partitions },
    (_, partition) =>
      ingest.state({ tenant, stream: stream.name as Parameters<Ingest['state']>[0]['stream'], partition })
        .applied,
  );

interface Row {
  readonly window_end: string;
  readonly status: string;
  readonly version: number | string;
  readonly [member: string]: unknown;
}

export async function readWindow(
  parts: WindowSourceParts,
  about: {
    readonly tenant: TenantId;
    readonly trigger: TriggerDefinition;
    readonly window: WindowDefinition;
    readonly partitions: number;
    readonly head: Head;
    readonly groups: ReadonlyMap<string, GroupRecord>;
    readonly nowMs: number;
  },
): Promise<Found> {
  const { tenant, trigger, window, head, groups, nowMs } = about;
  // Asked first: what is closed is below what is read now.
  const closedMs = parts.closedThrough?.(tenant, window.name);
  const applied = appliedOffsets(parts, tenant, { name: window.name, partitions: about.partitions });
  const offsets: number[] = [];
  const rows: Row[] = [];
  let isMore = false;
  for (const [partition, to] of applied.entries()) {
    const from = head.offsets[partition] ?? 0;
    const read =
      from < to ? await parts.events().since(tenant, window.name, partition, from, ROWS_AT_ONCE) : [];
    const below = read.filter(({ offset }) => offset < to);
    rows.push(...below.map(({ json }) => parseRows<Row>(json)));
    const isFull = read.length === ROWS_AT_ONCE;
    // A tail may come in smaller portions: only one without anything says that there is no more.
    const last = below.at(-1)?.offset;
    offsets.push(isFull || (last !== undefined && last + 1 < to) ? (last ?? from) + 1 : Math.max(from, to));
    isMore ||= offsets[partition]! < to;
  }
  const findings = await findingsOf(parts, about, rows);
  const silent = isMore ? [] : silentOf(trigger, window, groups, findings, nowMs, closedMs);
  return { findings: [...findings, ...silent], head: { offsets, atMs: nowMs }, isMore };
}

async function findingsOf(
  { engine }: WindowSourceParts,
  {
    tenant,
    trigger,
    window,
    nowMs,
  }: {
    readonly tenant: TenantId;
    readonly trigger: TriggerDefinition;
    readonly window: WindowDefinition;
    readonly nowMs: number;
  },
  rows: readonly Row[],
): Promise<readonly Finding[]> {
  const final = rows
    .filter(({ status }) => status !== 'early')
    .map((row) => ({ row, endMs: msOf(row.window_end) }))
    .sort((a, b) => a.endMs - b.endMs);
  const ends = [...new Set(final.map(({ endMs }) => endMs))];
  const lags = lagsOf(trigger.when);
  const isAbsent = trigger.when.kind === 'absent';
  const apart = apartMs(window) ?? 0;
  const found = [];
  for (const lag of ends.length === 0 ? [] : lags) {
    const range = { fromMs: ends[0]! - lag - apart / 2, toMs: ends.at(-1)! - lag + apart / 2 };
    found.push(
      ...(await windowNumbers(engine, {
        ...{ tenant, window, measure: trigger.measure },
        ...{ fromMs: Math.floor(range.fromMs), toMs: Math.ceil(range.toMs) },
      })),
    );
  }
  const numbers = numbersOf(window, found);
  return final.map(({ row, endMs }): Finding => {
    const key = groupKey(window.by, row);
    const value = row.status === 'retracted' ? null : numberOf(row[trigger.measure]);
    const group = groupOf(window.by, row);
    if (isAbsent) {
      const alive = value !== null && value !== 0 ? { aliveAtMs: endMs } : {};
      return { key, group, observation: { atMs: nowMs, value, ...alive } };
    }
    return {
      ...{ key, group },
      observation: { atMs: endMs, value, ...comparedWith(trigger.when, key, endMs, numbers) },
      isCorrection: Number(row.version) > 1,
    };
  });
}

/** What is to be said of the groups of which nothing came. */
function silentOf(
  trigger: TriggerDefinition,
  window: WindowDefinition,
  groups: ReadonlyMap<string, GroupRecord>,
  findings: readonly Finding[],
  nowMs: number,
  closedMs: number | undefined,
): readonly Finding[] {
  const heard = new Set(findings.map(({ key }) => key));
  const { when } = trigger;
  if (when.kind === 'absent') {
    const due = [...groups].filter(
      ([key, { state }]) =>
        !heard.has(key) && state.phase !== 'firing' && nowMs - (state.aliveAtMs ?? nowMs) >= when.forMs,
    );
    const silent = due.map(
      ([key, { group, state }]): Finding => ({
        key,
        group,
        observation: { atMs: nowMs, value: state.value },
      }),
    );
    const isFirst = window.by.length === 0 && groups.size === 0 && heard.size === 0;
    return isFirst
      ? [{ key: groupKey([], {}), group: {}, observation: { atMs: nowMs, value: null } }]
      : silent;
  }
  const apart = apartMs(window);
  if (closedMs === undefined || apart === undefined) return [];
  const fn = window.measures.find(({ name }) => name === trigger.measure)?.measure.fn;
  const value = fn === 'count' || fn === 'sum' || fn === 'unique' ? 0 : null;
  return [...groups].flatMap(([key, { group, state }]): Finding[] => {
    // Windows of the group have ended without an event of it since the one that was looked at.
    const ends = Math.floor((closedMs - state.atMs) / apart);
    if (heard.has(key) || ends < 1) return [];
    return [{ key, group, observation: { atMs: state.atMs + ends * apart, value } }];
  });
}

const msOf = (text: string): number => Date.parse(text.includes('T') ? text : `${text.replace(' ', 'T')}Z`);
