/** Answers carry 64-bit integers and long decimals; `JSON.parse` would round them. */
import { isInteger, isSafeNumber, LosslessNumber, parse, stringify } from 'lossless-json';

/** A number as the server wrote it: a `number` only where that keeps every digit. */
export type ExactNumber = number | bigint | LosslessNumber;

/** JSON text to a value, every number exact. */
export function parseExact(text: string): unknown {
  return parse(text, null, exactNumber);
}

/** The way back: numbers that were read exactly are written with every digit. */
export const writeExact = (value: unknown): string => stringify(value) ?? 'null';

export function exactNumber(text: string): ExactNumber {
  if (isInteger(text)) {
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : BigInt(text);
  }
  return isSafeNumber(text) ? Number(text) : new LosslessNumber(text);
}

/** The nearest double, for drawing; null for what is not a finite number. */
export function toDouble(value: unknown): number | null {
  if (value === null || value === undefined || value === '' || typeof value === 'boolean') return null;
  const double = Number(typeof value === 'object' ? String(value) : value);
  return Number.isFinite(double) ? double : null;
}
