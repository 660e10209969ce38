/** What the listings of events and of the quarantine have in common: their range, page size and cursor. */
import type { Issue } from '../base/errors.ts';
import { decodeCursor, type Place } from './cursor.ts';
import { parseTime } from './parse.ts';
import type { Page } from './port.ts';

export const PAGE_ROWS_MAX = 1_000;
export const PAGE_ROWS_DEFAULT = 100;

export interface ParsedPage {
  readonly limit: number;
  readonly after: Place | undefined;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
}

/** Adds its mistakes to `issues`; the caller throws them together with its own. */
export function parsePage(page: Page, nowMs: number, issues: Issue[]): ParsedPage {
  const note = (path: string, message: string) => issues.push({ path, message });
  const { limit = PAGE_ROWS_DEFAULT, cursor } = page;
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX) {
    note('limit', `must be a whole number from 1 to ${PAGE_ROWS_MAX}`);
  }
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  if (cursor !== undefined && !after)
    note('cursor', 'must be the "next" of an earlier page, as it was given');
  const fromMs = parseTime('from', page.from, nowMs, 'UTC', note);
  const toMs = parseTime('to', page.to, nowMs, 'UTC', note);
  return { limit, after, fromMs, toMs };
}
