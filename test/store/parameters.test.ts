import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/store/index.ts';
import { openChdb } from '../../src/store/index.ts';

describe('parameters of statements', () => {
  let directory: string;
  let engine: Engine;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-parameters-'));
    engine = openChdb({ directory });
  });
  afterAll(async () => {
    await engine.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** Pasted or cut anywhere, these would show. */
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom(...'\\\'"`\0\b\f\n\r\t{}[],;-N/*') }),
  );

  it('are read as they were given, whatever is in them', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.array(text, { maxLength: 5 }),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { maxLength: 5 }),
        fc.boolean(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        async (one, several, whole, wholes, truth, double) => {
          const [row] = await engine.rows<Record<string, unknown>>({
            text: `SELECT hex({one:String}) AS one, arrayMap(x -> hex(x), {several:Array(String)}) AS several,
              {whole:Int64} AS whole, {wholes:Array(UInt64)} AS wholes, {truth:Bool} AS truth, {double:Float64} AS double`,
            params: { one, several, whole, wholes, truth, double },
          });
          const hex = (value: string) => Buffer.from(value, 'utf8').toString('hex').toUpperCase();
          expect(row).toEqual({
            one: hex(one),
            several: several.map(hex),
            whole: String(whole),
            wholes: wholes.map(String),
            truth,
            double: Object.is(double, -0) ? expect.closeTo(0) : double,
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  it('belong to their statement, when many with the same names run side by side', async () => {
    const ask = async (n: number) => {
      const params = { n, words: Array.from({ length: n % 100 }, (_, i) => `${n}-${i}`) };
      const [row] = await engine.rows<{ n: number; words: string[]; spent: number }>({
        text: 'SELECT {n:UInt32} AS n, {words:Array(String)} AS words, sleepEachRow(0.002) AS spent',
        params,
      });
      expect([row!.n, row!.words]).toEqual([n, params.words]);
    };
    const stream = async (n: number) => {
      const chunks: Uint8Array[] = [];
      const statement = {
        text: 'SELECT {n:UInt32} + number FROM numbers({rows:UInt32})',
        params: { n, rows: 1_000 },
      };
      for await (const chunk of engine.stream(statement, 'TSV')) chunks.push(Buffer.from(chunk));
      const lines = Buffer.concat(chunks).toString().trim().split('\n');
      expect([lines.length, lines[0], lines.at(-1)]).toEqual([1_000, `${n}`, `${n + 999}`]);
    };
    await Promise.all(Array.from({ length: 300 }, (_, n) => (n % 3 === 0 ? stream(n) : ask(n))));
  });

  it('do not make a quick statement wait for a slow one', async () => {
    const ended: string[] = [];
    const slow = engine
      .rows({ text: 'SELECT {n:UInt8}, sleep(1)', params: { n: 1 } })
      .then(() => ended.push('slow'));
    for (let n = 0; n < 5; n += 1) {
      await engine.rows({ text: 'SELECT {n:UInt8}', params: { n } });
      ended.push('quick');
    }
    await slow;
    expect(ended).toEqual(['quick', 'quick', 'quick', 'quick', 'quick', 'slow']);
  });

  it('with a wrong value or name fail alone', async () => {
    await expect(engine.rows({ text: 'SELECT {n:UInt8}', params: { n: 'x' } })).rejects.toMatchObject({
      code: 'store-unavailable',
    });
    await expect(
      engine.rows({ text: 'SELECT 1', params: { "n='1', max_memory_usage": 1 } }),
    ).rejects.toMatchObject({ code: 'bad-question' });
    expect(await engine.rows({ text: 'SELECT {n:UInt8} AS n', params: { n: 7 } })).toEqual([{ n: 7 }]);
  });
});
