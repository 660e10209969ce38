/** What is asked of the ledger, checked: whole buckets, bounded in number. */
import type { Clock } from '../base/clock.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import type { StreamDefinition } from '../define/model.ts';
import { floorTo } from './log-side.ts';
import { LEDGER_WIDTHS, type LedgerEvery, type LedgerRequest } from './port.ts';

export interface Range {
  readonly every: LedgerEvery;
  readonly widthMs: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly limit: number;
  readonly after: { readonly startMs: number; readonly partition: number } | undefined;
}

const BUCKETS_DEFAULT = 60;
const BUCKETS_MAX = 10_000;
const ROWS_DEFAULT = 100;
const ROWS_MAX = 1_000;

export function rangeOf(
  request: LedgerRequest,
  stream: StreamDefinition,
  clock: Clock,
  newestAtMs: number,
): Range {
  const { every = '1m', limit = ROWS_DEFAULT, partition, cursor } = request;
  const widthMs = LEDGER_WIDTHS[every];
  // Records may lie ahead of a clock that was set back.
  const endMs = request.toMs ?? Math.max(clock.now(), newestAtMs) + 1;
  const toMs = floorTo(endMs + widthMs - 1, widthMs);
  const fromMs = floorTo(request.fromMs ?? toMs - BUCKETS_DEFAULT * widthMs, widthMs);
  const issues: Issue[] = [];
  const note = (path: string, message: string) => issues.push({ path, message });
  if (fromMs >= toMs) note('from', 'must lie before "to"');
  const buckets = (toMs - fromMs) / widthMs;
  if (buckets > BUCKETS_MAX)
    note(
      'every',
      `the range has ${buckets} buckets of ${every}; ask for at most ${BUCKETS_MAX}, or wider ones`,
    );
  if (!Number.isInteger(limit) || limit < 1 || limit > ROWS_MAX)
    note('limit', `must be a whole number from 1 to ${ROWS_MAX}`);
  if (
    partition !== undefined &&
    !(Number.isInteger(partition) && partition >= 0 && partition < stream.partitions)
  )
    note('partition', `must be a whole number from 0 to ${stream.partitions - 1}`);
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  if (cursor !== undefined && !after)
    note('cursor', 'must be the "next_cursor" of an earlier page, as it was given');
  throwIfAny(issues);
  return { every, widthMs, fromMs, toMs, limit, after };
}

export function throwIfAny(issues: readonly Issue[]): void {
  if (issues.length === 0) return;
  const words = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new MillraceError('bad-question', `the question has mistakes: ${words}`, { issues });
}

/** Opaque to the user: base64url of the JSON array [start in epoch ms, partition]. */
export const encodeCursor = (startMs: number, partition: number): string =>
  Buffer.from(JSON.stringify([startMs, partition])).toString('base64url');

function decodeCursor(text: string): { startMs: number; partition: number } | undefined {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(text)) return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(parts) || parts.length !== 2 || !parts.every(Number.isSafeInteger)) return undefined;
    const [startMs, partition] = parts as [number, number];
    return { startMs, partition };
  } catch {
    return undefined;
  }
}
