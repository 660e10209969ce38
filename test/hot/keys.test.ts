import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { whoGivesUp } from '../../src/hot/budget.ts';
import { Keys } from '../../src/hot/keys.ts';
import { addWhole, compareText } from '../../src/hot/values.ts';

const value = fc.option(fc.constantFrom('', 'a', 'b', 'c', 'd', 'null', '1', '12'));
const tuple = fc.tuple(value, value);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('hold' as const), tuple }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('having' as const), value, dimension: fc.nat(1) }) },
);

describe('the keys of a rollup', () => {
  it('are found as long as anybody holds them, and no longer; their numbers are used again', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const keys = new Keys(2);
        const held: { readonly key: number; readonly text: string }[] = [];
        for (const one of steps) {
          if (one.kind === 'hold') {
            const key = keys.intern(one.tuple);
            keys.hold(key);
            held.push({ key, text: JSON.stringify(one.tuple) });
          } else if (one.kind === 'drop' && held.length > 0) {
            keys.drop(held.splice(one.at % held.length, 1)[0]!.key);
          } else if (one.kind === 'having') {
            const id = keys.dictionaries[one.dimension]!.find(one.value);
            const wanted = held.filter(({ text }) => JSON.parse(text)[one.dimension] === one.value);
            const found = id === undefined ? [] : [...keys.having(one.dimension, id)];
            expect(new Set(found)).toEqual(new Set(wanted.map(({ key }) => key)));
          }
        }
        const byText = new Map(held.map(({ key, text }) => [text, key]));
        for (const { key, text } of held) {
          expect(key).toBe(byText.get(text));
          const ids = (JSON.parse(text) as (string | null)[]).map(
            (one, at) => keys.dictionaries[at]!.find(one)!,
          );
          expect(keys.find(ids)).toBe(key);
          expect(JSON.stringify([keys.valueOf(key, 0), keys.valueOf(key, 1)])).toBe(text);
        }
        for (const { key } of held) keys.drop(key);
        for (const dictionary of keys.dictionaries)
          expect([dictionary.size, dictionary.bytes]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('values', () => {
  it('add up without losing a digit', () => {
    const whole = fc.oneof(
      fc.bigInt({ min: -(2n ** 100n), max: 2n ** 100n }),
      fc.bigInt({ min: -20n, max: 20n }).map((near) => near + 2n ** 53n),
      fc.bigInt({ min: -100n, max: 100n }),
    );
    fc.assert(
      fc.property(fc.array(whole, { maxLength: 20 }), (values) => {
        const sum = values.reduce<number | bigint>(
          (a, b) => addWhole(a, Number.isSafeInteger(Number(b)) ? Number(b) : b),
          0,
        );
        expect(BigInt(sum)).toBe(values.reduce((a, b) => a + b, 0n));
      }),
    );
  });

  it('text is ordered by its bytes', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'é', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}'),
    });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});

describe('memory', () => {
  it('is given up by a tenant over an equal share, and only when there is too little', () => {
    const holders = fc.array(
      fc.record({ tenant: fc.constantFrom('a', 'b', 'c'), bytes: fc.integer({ min: 0, max: 100 }) }),
    );
    fc.assert(
      fc.property(holders, fc.integer({ min: 0, max: 300 }), (all, bytesMax) => {
        const total = all.reduce((sum, { bytes }) => sum + bytes, 0);
        const loser = whoGivesUp(all, bytesMax);
        expect(loser === undefined).toBe(total <= bytesMax);
        if (!loser) return;
        const share = bytesMax / new Set(all.map(({ tenant }) => tenant)).size;
        const own = all.filter(({ tenant }) => tenant === loser.tenant);
        expect(own.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(share);
        expect(loser.bytes).toBe(Math.max(...own.map(({ bytes }) => bytes)));
      }),
    );
  });
});
