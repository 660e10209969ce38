/**
 * What a trigger sees of a window. Windows that have closed are looked at together, end by end, as the store has them;
 * the log of the results is followed for what changes them afterwards, for sessions, and for signs of life.
 *
 *   how far it is closed ─▶ all results of it in the log ─▶ corrections ─▶ ends that are new
 */
import type { Offset, TenantId } from '../base/brand.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Events } from '../stats/port.ts';
import type { Engine } from '../store/index.ts';
import { type ClosedWindows, lookAtSilence, lookComparing, lookThrough } from './closed-windows.ts';
import type { Deciding, Finding } from './decide.ts';
import { compares, Numbers, windowNumbers } from './earlier.ts';
import { endsOf, silentValue } from './ends.ts';
import { type Group, groupKey, groupOf, numberOf, parseRows } from './groups.ts';
import { numbersBefore, readClosed, type WatchedWindow } from './read-closed.ts';
import type { Head } from './records.ts';

export interface WindowSourceParts {
  readonly engine: Pick<Engine, 'query'>;
  readonly events: () => Pick<Events, 'since'>;
  readonly ingest: Pick<Ingest, 'state'>;
  /** Every result of windows of this definition that end at or before the moment is stored. Absent: nothing is closed. */
  readonly closedThrough?: ((tenant: TenantId, window: string) => number | undefined) | undefined;
  /** The same, read where it is not known yet. */
  readonly closedSoFar?: ((tenant: TenantId, window: string) => Promise<number | undefined>) | undefined;
}

/** What the head is then, and whether there is more to look at, now. */
export interface Looked {
  readonly head: Partial<Pick<Head, 'offsets' | 'atMs' | 'throughMs' | 'newestEndMs'>>;
  readonly isMore: boolean;
}

/** Results that are read from the log together. */
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

export async function lookAtWindow(
  parts: WindowSourceParts,
  watched: WatchedWindow,
  head: Head,
  deciding: Deciding,
  nowMs: number,
): Promise<Looked> {
  const { tenant, trigger, window } = watched;
  // Asked first: what is closed is below what is read now.
  const closedMs = parts.closedThrough?.(tenant, window.name);
  const { results, offsets, isMore } = await readTold(parts, watched, head);
  const newestEndMs = results.reduce((newest, { endMs }) => Math.max(newest, endMs), head.newestEndMs);
  const next = { offsets, atMs: nowMs, newestEndMs };
  const ends = endsOf(window);
  if (trigger.when.kind === 'absent') {
    for (const one of results) deciding.look(aliveAt(one, nowMs));
    if (!isMore) lookAtAbsence(watched, deciding, nowMs);
    return { head: next, isMore };
  }
  if (!ends) {
    for (const one of results) lookAtSession(deciding, one, head.newestEndMs);
    return { head: next, isMore };
  }
  await lookAtCorrections(parts, { ...watched, deciding, ends }, head, results);
  const toMs = closedMs === undefined ? undefined : ends.upTo(closedMs);
  if (isMore || toMs === undefined || (head.throughMs !== null && toMs <= head.throughMs))
    return { head: next, isMore };
  const portion = await readClosed(parts.engine, watched, ends, head.throughMs, toMs);
  lookThrough({ deciding, trigger, window, ends, afterMs: head.throughMs, ...portion });
  return { head: { ...next, throughMs: portion.toMs }, isMore: portion.toMs < toMs };
}

/** A result as the log has it. */
interface ToldResult {
  readonly key: string;
  readonly group: Group;
  readonly endMs: number;
  readonly value: number | null;
  readonly isCorrection: boolean;
}

interface Row {
  readonly window_end: string;
  readonly status: string;
  readonly version: number | string;
  readonly [member: string]: unknown;
}

/** The next results, in the order of their ends. */
async function readTold(
  parts: WindowSourceParts,
  { tenant, trigger, window, stream }: WatchedWindow,
  head: Head,
): Promise<{
  readonly results: readonly ToldResult[];
  readonly offsets: readonly number[];
  readonly isMore: boolean;
}> {
  const offsets: number[] = [];
  const rows: Row[] = [];
  let isMore = false;
  for (const [partition, to] of appliedOffsets(parts, tenant, stream).entries()) {
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
  const retracted = window.shape.kind === 'session' ? null : silentValue(window, trigger);
  const results = rows
    .filter(({ status }) => status !== 'early')
    .map((row) => ({
      ...{ key: groupKey(window.by, row), group: groupOf(window.by, row), endMs: msOf(row.window_end) },
      value: row.status === 'retracted' ? retracted : numberOf(row[trigger.measure]),
      isCorrection: Number(row.version) > 1,
    }))
    .sort((a, b) => a.endMs - b.endMs);
  return { results, offsets, isMore };
}

/** A sign of life counts from the end of its window; it is seen now. */
function aliveAt({ key, group, endMs, value }: ToldResult, nowMs: number): Finding {
  const alive = value !== null && value !== 0 ? { aliveAtMs: endMs } : {};
  return { key, group, observation: { atMs: nowMs, value, ...alive } };
}

/** Groups that have been silent for long enough: by the clock, at the moment at which they had. */
function lookAtAbsence({ trigger, window }: WatchedWindow, deciding: Deciding, nowMs: number): void {
  if (trigger.when.kind !== 'absent') return;
  if (window.by.length === 0 && deciding.groups.size === 0)
    deciding.look({ key: groupKey([], {}), group: {}, observation: { atMs: nowMs, value: null } });
  for (const [key, { group, state }] of [...deciding.groups]) {
    const dueMs = (state.aliveAtMs ?? nowMs) + trigger.when.forMs;
    if (state.phase === 'firing' || dueMs > nowMs) continue;
    const look = (ms: number): void => {
      const atMs = Math.max(Math.min(ms, nowMs), deciding.groups.get(key)?.state.atMs ?? 0);
      deciding.look({ key, group, observation: { atMs, value: null } });
    };
    if (state.phase === 'inactive') look(dueMs);
    const pending = deciding.groups.get(key)?.state;
    if (pending?.phase !== 'pending') continue;
    const heldMs = Math.max(pending.sinceMs + trigger.forMs, pending.silentUntilMs ?? 0);
    if (heldMs > nowMs) continue;
    look(heldMs);
    // It may be muted by hand, and is looked at again.
    if (deciding.groups.get(key)?.state.phase === 'pending') look(nowMs);
  }
}

function lookAtSession(deciding: Deciding, one: ToldResult, newestEndMs: number): void {
  const { key, group, endMs, value } = one;
  const newestMs = deciding.groups.get(key)?.state.atMs ?? newestEndMs;
  if (one.isCorrection && endMs < newestMs) return;
  deciding.look({ key, group, observation: { atMs: endMs, value } });
}

/** What changes the newest number of a group is looked at in the place of that; of older windows nothing is. */
async function lookAtCorrections(
  parts: WindowSourceParts,
  about: WatchedWindow & Pick<ClosedWindows, 'deciding' | 'ends'>,
  { throughMs, newestEndMs }: Head,
  results: readonly ToldResult[],
): Promise<void> {
  if (throughMs === null) return;
  const { deciding, ends, trigger } = about;
  const newestOf = (key: string): number => deciding.groups.get(key)?.state.atMs ?? newestEndMs;
  const late = results.filter(({ key, endMs }) => endMs <= throughMs && endMs >= newestOf(key));
  if (late.length === 0) return;
  if (!compares(trigger.when)) {
    for (const { key, group, endMs, value } of late) {
      deciding.look({ key, group, observation: { atMs: endMs, value } });
      lookAtSilence(about, key, group, endMs, throughMs + 1);
    }
    return;
  }
  const firstMs = late[0]!.endMs;
  const some: number[] = [];
  for (let end = firstMs; end <= throughMs; end = ends.after(end)) {
    // Its newest number, and yet one of long ago.
    if (some.push(end) > ENDS_MAX) return;
  }
  const now = await windowNumbers(parts.engine, {
    ...{ ...about, measure: trigger.measure, afterMs: firstMs - 1, toMs: throughMs, rowsMax: LATE_MAX },
  });
  const before = await numbersBefore(parts.engine, about, ends, some);
  const numbers = new Numbers(ends, [...before, ...now]);
  for (const { key, endMs } of late)
    lookComparing({ ...about, results: now, numbers, afterMs: endMs - 1, toMs: throughMs }, key);
}

const LATE_MAX = 150_000;
const ENDS_MAX = 500;

const msOf = (text: string): number => Date.parse(text.includes('T') ? text : `${text.replace(' ', 'T')}Z`);
