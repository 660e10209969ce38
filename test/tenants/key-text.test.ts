import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KEY_RANDOM_BYTES, KEY_TEXT_LENGTH, makeKeyText, prefixOf } from '../../src/tenants/key-text.ts';

const random = fc.uint8Array({ minLength: KEY_RANDOM_BYTES, maxLength: KEY_RANDOM_BYTES });

describe('the text of a key', () => {
  it('has its length, letters and digits only, and tells its prefix', () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const text = makeKeyText(bytes);
        expect(text).toMatch(/^mr_[0-9A-Za-z]{9}_[0-9A-Za-z]{48}$/);
        expect(text).toHaveLength(KEY_TEXT_LENGTH);
        expect(prefixOf(text)).toBe(text.slice(0, 12));
      }),
    );
  });

  it('holds all of its randomness: different bytes make different keys', () => {
    fc.assert(
      fc.property(random, fc.nat(KEY_RANDOM_BYTES - 1), fc.integer({ min: 1, max: 255 }), (bytes, at, by) => {
        const other = Uint8Array.from(bytes);
        other[at] = other[at]! ^ by;
        expect(makeKeyText(other)).not.toBe(makeKeyText(bytes));
      }),
    );
    expect(makeKeyText(new Uint8Array(KEY_RANDOM_BYTES).fill(255))).toHaveLength(KEY_TEXT_LENGTH);
  });

  it('is refused when a character was lost, changed, added, or two changed places', () => {
    fc.assert(
      fc.property(random, fc.nat(KEY_TEXT_LENGTH - 1), fc.constantFrom(...'0aZ_- '), (bytes, at, char) => {
        const text = makeKeyText(bytes);
        const swapped = [...text];
        [swapped[at], swapped[(at + 1) % text.length]] = [swapped[(at + 1) % text.length]!, swapped[at]!];
        const mangled = [
          text.slice(0, at) + text.slice(at + 1),
          text.slice(0, at) + char + text.slice(at + 1),
          text.slice(0, at) + char + text.slice(at),
          swapped.join(''),
        ];
        for (const one of mangled) if (one !== text) expect(prefixOf(one), one).toBeUndefined();
      }),
    );
  });

  it('is not met by chance', () => {
    for (let guess = 0; guess < 1_000; guess += 1) {
      const text = makeKeyText(randomBytes(KEY_RANDOM_BYTES));
      const guessed = text.slice(0, 13) + makeKeyText(randomBytes(KEY_RANDOM_BYTES)).slice(13);
      expect(prefixOf(guessed)).toBeUndefined();
    }
    fc.assert(fc.property(fc.string(), (text) => prefixOf(text) === undefined));
  });
});
