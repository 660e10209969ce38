import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatReceipt, parseReceipt } from '../../src/base/receipt.ts';

describe('a receipt', () => {
  it('comes back as it was written', () => {
    const part = fc.record({
      partition: fc.integer({ min: 0, max: 63 }),
      from: fc.integer({ min: 0, max: 2 ** 52 }),
      count: fc.integer({ min: 1, max: 2 ** 52 }),
    });
    const parts = fc.uniqueArray(part, { selector: (one) => one.partition, minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(parts, (some) => {
        expect(parseReceipt(formatReceipt(some))).toEqual(some);
      }),
    );
  });

  it('is refused when it is none', () => {
    const bad = [
      '',
      '.',
      '0-1',
      '0-1-0',
      '0-1-1.',
      '0-1-1.0-5-1',
      '-1-1-1',
      '0-1-9007199254740992',
      '70000-0-1',
    ];
    for (const text of bad) expect(parseReceipt(text), text).toBeUndefined();
    expect(parseReceipt(Array.from({ length: 65 }, (_, n) => `${n}-0-1`).join('.'))).toBeUndefined();
  });
});
