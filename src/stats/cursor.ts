/**
 * The place of a row in a listing that runs from the newest to the oldest. Opaque to the user:
 *
 *   base64url of the JSON array [time in epoch ms, partition, "offset"]
 */
import { quoteIdentifier } from '../store/index.ts';
import type { Parameters } from './where.ts';

export interface Place {
  readonly ms: number;
  readonly partition: number;
  readonly offset: bigint;
}

export const encodeCursor = ({ ms, partition, offset }: Place): string =>
  Buffer.from(JSON.stringify([ms, partition, String(offset)])).toString('base64url');

/** Undefined when the text is not a cursor. */
export function decodeCursor(text: string): Place | undefined {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(text)) return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(parts) || parts.length !== 3) return undefined;
    const [ms, partition, offset] = parts as unknown[];
    if (!Number.isSafeInteger(ms) || !Number.isInteger(partition)) return undefined;
    if (typeof offset !== 'string' || !/^\d{1,20}$/.test(offset)) return undefined;
    if ((partition as number) < 0 || (partition as number) > 65_535 || BigInt(offset) >= 2n ** 64n)
      return undefined;
    return { ms: ms as number, partition: partition as number, offset: BigInt(offset) };
  } catch {
    return undefined;
  }
}

/** Rows behind the place, newest first. The bound on the time alone lets the engine skip what is newer. */
export function behind(place: Place, time: string, parameters: Parameters): string {
  const column = quoteIdentifier(time);
  const moment = `fromUnixTimestamp64Milli(${parameters.bind('Int64', place.ms)}, 'UTC')`;
  const partition = parameters.bind('UInt16', place.partition);
  const offset = parameters.bind('UInt64', place.offset);
  return `${column} <= ${moment} AND (${column} < ${moment} OR (_partition, _offset) < (${partition}, ${offset}))`;
}
