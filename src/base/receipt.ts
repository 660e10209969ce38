/**
 * A receipt names where the records of one request lie in the log, so that their fate can be asked for later.
 *
 *   receipt := part { "." part }
 *   part    := partition "-" offset of its first record "-" count     decimal digits
 */
export interface ReceiptPart {
  readonly partition: number;
  readonly from: number;
  readonly count: number;
}

/** A stream has at most this many partitions. */
const PARTS_MAX = 64;

/**
 * @example
 * formatReceipt([{ partition: 0, from: 1234, count: 100 }, { partition: 3, from: 7, count: 2 }]); // '0-1234-100.3-7-2'
 */
export const formatReceipt = (parts: readonly ReceiptPart[]): string =>
  parts.map(({ partition, from, count }) => `${partition}-${from}-${count}`).join('.');

/** Undefined when the text is not a receipt. */
export function parseReceipt(text: string): readonly ReceiptPart[] | undefined {
  const parts: ReceiptPart[] = [];
  for (const part of text.split('.', PARTS_MAX + 1)) {
    const match = /^(\d{1,5})-(\d{1,16})-(\d{1,16})$/.exec(part);
    if (!match) return undefined;
    const [partition, from, count] = match.slice(1).map(Number) as [number, number, number];
    if (partition > 65_535 || count < 1 || !Number.isSafeInteger(from + count)) return undefined;
    if (parts.some((one) => one.partition === partition)) return undefined;
    parts.push({ partition, from, count });
  }
  return parts.length > PARTS_MAX ? undefined : parts;
}
