import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { depthOf, eachElement, memberSpan, onOneLine, textAt } from '../../src/collect/scan-json.ts';

/** JSON text with digits that no double holds, strange strings and whitespace everywhere. */
const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => {
  const space = fc.constantFrom('', '', ' ', '\n', '\t', ' \r\n ');
  const spaced = (text: fc.Arbitrary<string>) => fc.tuple(space, text, space).map((parts) => parts.join(''));
  const string = fc
    .oneof(
      fc.string(),
      fc.constantFrom('"', '\\', '\\"', ']', '}', ',', ':', '[{', '\\\\"', 'ä€😀', '\u2028'),
    )
    .map((text) => JSON.stringify(text));
  return {
    value: spaced(
      fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.bigInt().map(String),
        fc.constantFrom('true', 'false', 'null', '-0', '1e5', '18446744073709551615', '0.10'),
        string,
        fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(',') || ' '}]`),
        fc
          .array(fc.tuple(string, tie('value')), { maxLength: 4 })
          .map((members) => `{${members.map(([name, value]) => `${name}:${value}`).join(',')}}`),
      ),
    ),
  };
}).value;

function elements(text: string): string[] {
  const bytes = onOneLine(Buffer.from(text));
  const found: string[] = [];
  eachElement(bytes, 0, (start, end) => found.push(bytes.toString('utf8', start, end)));
  return found;
}

describe('the JSON scanner', () => {
  it('reproduces the elements of an array exactly, on one line each', () => {
    fc.assert(
      fc.property(fc.array(jsonText, { maxLength: 6 }), (items) => {
        const found = elements(`[${items.join(',')}]`);
        expect(found.map((text) => JSON.parse(text))).toEqual(items.map((text) => JSON.parse(text)));
        expect(found).toEqual(
          items.map((text) => text.replaceAll('\n', ' ').replaceAll(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')),
        );
        expect(found.every((text) => !text.includes('\n'))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps every digit of 64-bit integers', () => {
    expect(elements('[{"id":18446744073709551615},{"id": 9007199254740993}]')).toEqual([
      '{"id":18446744073709551615}',
      '{"id": 9007199254740993}',
    ]);
  });

  it('finds the same member as JSON.parse, the last of a name', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('"a"', '"b"', '"\\u0061"', '"a "', '"\\""'), jsonText), {
          maxLength: 6,
        }),
        (members) => {
          const text = Buffer.from(`{${members.map(([name, value]) => `${name}:${value}`).join(' , ')}}`);
          const parsed = JSON.parse(text.toString());
          const span = memberSpan(text, 0, 'a');
          if (span === undefined) expect(Object.hasOwn(parsed, 'a')).toBe(false);
          else expect(JSON.parse(text.toString('utf8', span.start, span.end))).toEqual(parsed.a);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('reads a text at a path', () => {
    const json = Buffer.from('{"x": {"ids": [1, [18446744073709551615 ]]}}');
    expect(textAt(json, ['x', 'ids', 1, 0])).toBe('18446744073709551615');
    expect(textAt(json, ['x', 'nope'])).toBeUndefined();
  });

  it('counts how deeply a value nests, however deep', () => {
    expect(depthOf(Buffer.from('{"a":[1,{"b":"[[["}]}'))).toBe(3);
    expect(depthOf(Buffer.from('['.repeat(500_000) + ']'.repeat(500_000)))).toBe(500_000);
  });
});
