import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressText } from '../../src/stats/address.ts';
import { decimalJson, floatJson, textJson } from '../../src/stats/memory-text.ts';
import { type Engine, openChdb } from '../../src/store/index.ts';

let engine: Engine;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-texts-'));
  engine = openChdb({ directory, readers: 1, writers: 1 });
});
afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

const rows = async (text: string, params: Record<string, string> = {}): Promise<string[][]> => {
  const bytes = await engine.query({ text, params }, 'JSONCompactStringsEachRow');
  return Buffer.from(bytes)
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string[]);
};

describe('texts that memory writes are those of the engine', () => {
  it('for every character', async () => {
    let text = '';
    for (let code = 1; code < 70_000; code += 1)
      if (code < 0xd800 || code > 0xdfff) text += String.fromCodePoint(code);
    const [[all] = []] = await rows('SELECT toJSONString({text:String})', { text });
    expect(textJson(text)).toBe(all);
  });

  it('for numbers of any size', async () => {
    const found = await rows(
      `SELECT reinterpretAsInt64(x), toJSONString(x) FROM (SELECT if(number % 2 = 0, reinterpretAsFloat64(sipHash64(number)), (toInt64(sipHash64(number)) % 1000000000) / pow(10, number % 27 - 3)) AS x FROM numbers(20000)) WHERE isFinite(x)`,
    );
    expect(found.length).toBeGreaterThan(10_000);
    const view = new DataView(new ArrayBuffer(8));
    for (const [bits, text] of found) {
      view.setBigInt64(0, BigInt(bits!));
      expect(floatJson(view.getFloat64(0))).toBe(text);
    }
    expect([floatJson(-0), floatJson(0)]).toEqual(['-0', '0']);
  });

  it('for decimals', async () => {
    for (const scale of [0, 1, 4, 18, 38]) {
      const found = await rows(
        `SELECT toString(u), toJSONString(CAST(reinterpret(reinterpret(u, 'FixedString(16)'), 'Decimal(38, ${scale})'), 'Decimal(38, ${scale})')) FROM (SELECT intDiv(toInt128(sipHash64(number)) * if(number % 3 = 0, -1, 1) * toInt128(1000000007), toInt128(pow(10, number % 20))) * if(number % 5 = 0, 1000, 1) AS u FROM numbers(400))`,
      );
      for (const [units, text] of found) expect(decimalJson(BigInt(units!), scale)).toBe(text);
    }
  });

  it('for addresses, however they were written', async () => {
    const masks = ['0xffffffff', '0xff00ffff', '0x0000ffff', '0xffff0000', '0', '0x1'];
    const word = (at: number) =>
      `bitAnd(toUInt32(sipHash64(number, ${at})), [${masks.join(', ')}][1 + sipHash64(number, ${at}, 'm') % ${masks.length}])`;
    const hex = [0, 1, 2, 3].map((at) => `leftPad(lower(hex(${word(at)})), 8, '0')`).join(', ');
    const found = await rows(
      `SELECT h, toString(CAST(toIPv6(a), 'IPv6')) FROM (SELECT concat(${hex}) AS h, arrayStringConcat(arrayMap(i -> substring(h, i * 4 + 1, 4), range(8)), ':') AS a FROM numbers(5000))`,
    );
    for (const [digits, text] of found) {
      const long = digits!.match(/.{4}/g)!.join(':');
      expect(addressText(long)).toBe(text);
      expect(addressText(text!.toUpperCase())).toBe(text);
    }
    expect(addressText('10.0.0.1')).toBe('::ffff:10.0.0.1');
    expect(addressText('::')).toBe('::');
  });
});
