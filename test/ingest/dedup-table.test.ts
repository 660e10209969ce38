import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdFilter } from '../../src/ingest/dedup-filter.ts';
import { IdTable, tableBytesFor } from '../../src/ingest/dedup-table.ts';
import { compareIds, firstWord, orderOf, sortIds, stir } from '../../src/ingest/dedup-words.ts';

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
/** Words that meet each other and the ends of the table. */
const word = fc.oneof(int32, fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)));
const id = fc.tuple(word, word, word, word).filter((words) => words.some((one) => one !== 0));

const random = (count: number, seed = 1): Int32Array => {
  let state = seed;
  return Int32Array.from({ length: count * 4 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return stir(state);
  });
};
const fill = (table: IdTable, words: Int32Array): IdTable => {
  for (let at = 0; at < words.length; at += 4)
    table.add(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
  return table;
};
function readOut(table: IdTable, chunkIds: number): Int32Array {
  const chunks = [...table.sorted(chunkIds)].length;
  expect(chunks).toBeLessThanOrEqual(Math.ceil(table.count / chunkIds) + 1);
  const all = new Int32Array(table.count * 4);
  let at = 0;
  for (const chunk of table.sorted(chunkIds)) {
    all.set(chunk, at);
    at += chunk.length;
  }
  expect(at).toBe(all.length);
  return all;
}
function expectSorted(words: Int32Array): void {
  for (let i = 1; i < words.length / 4; i += 1)
    if (compareIds(words, i - 1, words, i) >= 0) throw new Error(`${i} is not in order`);
}

describe('a table of ids', () => {
  it('has what was added and nothing else, and reads out in order, however ids are alike', () => {
    fc.assert(
      fc.property(
        fc.array(id, { maxLength: 400 }),
        fc.array(id, { maxLength: 50 }),
        fc.integer({ min: 1, max: 100 }),
        (ids, others, chunk) => {
          const table = new IdTable();
          const known = new Set<string>();
          for (const one of ids) {
            expect(table.add(...one)).toBe(!known.has(one.join()));
            known.add(one.join());
          }
          for (const one of [...ids, ...others]) expect(table.has(...one)).toBe(known.has(one.join()));
          const all = readOut(table, chunk);
          expectSorted(all);
          expect(table.count).toBe(known.size);
        },
      ),
    );
  });

  it('keeps its order and its size per id while it grows from one shard to many', () => {
    const words = random(120_000);
    const table = new IdTable();
    for (let at = 0; at < words.length; at += 4) {
      table.add(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
      if (at % 40_000 === 0) expect(table.bytes).toBeLessThanOrEqual(tableBytesFor(table.count) + 8_192);
    }
    expect(table.count).toBe(120_000);
    expect(table.bytes / table.count).toBeLessThan(28);
    expectSorted(readOut(table, 1_000));
  });

  it('does not grow when it was told how many ids come', () => {
    const table = new IdTable(120_000);
    const { bytes } = table;
    fill(table, random(120_000));
    expect(table.bytes).toBe(bytes);
  });

  it('marks the ids of a batch that it has, through its filter too', () => {
    const words = random(60_000);
    const table = fill(new IdTable(), words.subarray(0, 30_000 * 4));
    const steps = table.filtered();
    steps.next();
    // While the filter is made, another id comes.
    fill(table, words.subarray(30_000 * 4, 30_001 * 4));
    for (const _ of steps);
    expect(table.filter).toBeDefined();
    expect(table.filterBytesWanted).toBe(0);
    const marks = new Float64Array(60_000).fill(Number.NEGATIVE_INFINITY);
    table.markAll(words, marks, 7);
    expect(marks.findIndex((mark) => mark !== 7)).toBe(30_001);
    expect(marks.lastIndexOf(7)).toBe(30_000);
  });
});

describe('a filter', () => {
  it('never says no to what it has, and yes to about one in a thousand others', () => {
    const words = random(200_000);
    const filter = new IdFilter(100_000);
    for (let at = 0; at < 400_000; at += 4) filter.add(words[at]!, words[at + 1]!, words[at + 2]!);
    let missed = 0;
    let passed = 0;
    for (let at = 0; at < words.length; at += 4) {
      const may = filter.mayHave(words[at]!, words[at + 1]!, words[at + 2]!);
      if (at < 400_000) missed += may ? 0 : 1;
      else if (may) passed += 1;
    }
    expect(missed).toBe(0);
    expect(passed).toBeLessThan(300);
    expect(filter.bytes).toBe(200_000);
  });
});

describe('words', () => {
  it('are stirred so that different ids stay different and only zero is zero', () => {
    fc.assert(
      fc.property(int32, int32, int32, int32, (secret, a, b, other) => {
        const stirred = (x: number) => firstWord(x, b, secret, stir(secret));
        expect(stirred(a) === stirred(other)).toBe(a === other);
        expect(firstWord(a, 0, secret, stir(secret))).toBe(a);
      }),
    );
  });

  it('are put in order by two ways that agree', () => {
    fc.assert(
      fc.property(fc.array(id, { maxLength: 200 }), (ids) => {
        const words = Int32Array.from(ids.flat());
        const order = orderOf(words);
        expect([...order].sort((x, y) => x - y)).toEqual(ids.map((_, i) => i));
        for (let i = 1; i < order.length; i += 1)
          expect(words[order[i - 1]! * 4]!).toBeLessThanOrEqual(words[order[i]! * 4]!);
        sortIds(words, 0, ids.length);
        for (let i = 1; i < ids.length; i += 1)
          expect(compareIds(words, i - 1, words, i)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
