import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameNdjson } from '../../src/collect/frame-ndjson.ts';
import { setUp, splitLines } from './helpers.ts';

const rules = { eventBytesMax: 100, grow: () => {} };

/** The obvious way to say what framing does. */
function naive(body: Buffer) {
  const good: string[] = [];
  const bad: number[] = [];
  let index = 0;
  for (const piece of body.toString('latin1').split('\n')) {
    const line = piece.endsWith('\r') ? piece.slice(0, -1) : piece;
    const trimmed = line.replaceAll(/^[ \t\r]+|[ \t\r]+$/g, '');
    if (trimmed === '') continue;
    if (line.length <= 100 && trimmed.startsWith('{') && trimmed.endsWith('}')) good.push(line);
    else bad.push(index);
    index += 1;
  }
  return { good, bad };
}

const fragment = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('{"a":1}', '{"b":"x"}', '{}', '{', '}', 'x', '[1]', '{"a":1} ') },
  { weight: 6, arbitrary: fc.constantFrom('\n', '\r\n', '\n\n', '\r', ' ', '\t') },
  { weight: 1, arbitrary: fc.constant(`{"long":"${'y'.repeat(120)}"}`) },
);
const lineish = fc.array(fragment, { maxLength: 60 }).map((parts) => Buffer.from(parts.join('')));
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

describe('NDJSON framing', () => {
  it('equals a naive split, on any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(lineish, bytes), (body) => {
        const before = Buffer.from(body);
        const { records, rejections } = frameNdjson(body, rules);
        const wanted = naive(before);
        const joined = Buffer.concat(records.chunks);
        expect(splitLines(joined).map((line) => line.toString('latin1'))).toEqual(wanted.good);
        expect(records.count).toBe(wanted.good.length);
        expect(records.bytes).toBe(joined.length);
        expect(rejections.errors.map((error) => error.index)).toEqual(wanted.bad);
        expect(rejections.count).toBe(wanted.bad.length);
        expect(body.equals(before)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('does not depend on how the body arrives', async () => {
    const { Readable } = await import('node:stream');
    const body = Buffer.from('{"a":"ä"}\r\n{"b":2}\n\n  {"c":3}\n{"d":4}');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: body.length }), { maxLength: 8 }), async (cuts) => {
        const sorted = [0, ...cuts.toSorted((a, b) => a - b), body.length];
        const chunks = sorted.slice(1).map((end, index) => body.subarray(sorted[index], end));
        const { log, sendStream } = setUp();
        await sendStream(Readable.from(chunks.filter((chunk) => chunk.length > 0)));
        expect(log.lines()).toEqual(['{"a":"ä"}', '{"b":2}', '  {"c":3}', '{"d":4}']);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps good neighbours as one slice of the body, without copying', () => {
    const body = Buffer.from('{"a":1}\n{"a":2}\nnope\n{"a":3}\n{"a":4}');
    const { records } = frameNdjson(body, rules);
    expect(records.chunks.map((chunk) => chunk.length)).toEqual([16, 15, 1]);
    expect(records.chunks[0]!.buffer).toBe(body.buffer);
  });

  it('makes few chunks even when every second line is bad', () => {
    const { records, rejections } = frameNdjson(Buffer.from('{}\nx\n'.repeat(10_000)), rules);
    expect(records.chunks.length).toBeLessThan(300);
    expect(records.count).toBe(10_000);
    expect(rejections.count).toBe(10_000);
    expect(rejections.errors.length).toBe(100);
  });

  it('passes NUL bytes and invalid UTF-8 on to ingest, which quarantines them', () => {
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0, 0xff, 0xfe]), Buffer.from('"}\n')]);
    expect(frameNdjson(body, rules).records.count).toBe(1);
  });
});
