import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseRollup,
  parseStream,
  rollupDocument,
  streamDocument,
  toDocument,
} from '../../src/define/index.ts';
import { rollupOf, stream } from './arbitraries.ts';

describe('the canonical document', () => {
  it('of a stream means the stream, through JSON, and fits the published schema', () => {
    fc.assert(
      fc.property(stream, (definition) => {
        const document = JSON.parse(JSON.stringify(toDocument(definition)));
        expect(parseStream(definition.name, document)).toEqual(definition);
        expect(toDocument(parseStream(definition.name, document))).toEqual(document);
        expect(streamDocument.safeParse(document).error).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it('of a rollup means the rollup, through JSON, and fits the published schema', () => {
    fc.assert(
      fc.property(
        stream.chain((from) => fc.tuple(fc.constant(from), rollupOf(from))),
        ([from, definition]) => {
          const document = JSON.parse(JSON.stringify(toDocument(definition)));
          expect(parseRollup(definition.name, document, () => from)).toEqual(definition);
          expect(rollupDocument.safeParse(document).error).toBeUndefined();
        },
      ),
      { numRuns: 300 },
    );
  });

  it('writes the defaults out, so that a kept document never changes its meaning', () => {
    expect(toDocument(parseStream('s', { fields: { a: 'int64' } }))).toEqual({
      fields: { a: 'int64' },
      partitions: 1,
      dedupe: { within: '1d' },
      future: '1d',
    });
  });
});

describe('parsing', () => {
  it('answers anything at all with a definition or with bad-definition', () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), fc.string(), (document, name) => {
        for (const parse of [
          () => parseStream(name, document),
          () => parseStream('s', { fields: document, dedupe: document, eventId: document }),
          () => parseStream('s', { fields: { f: document } }),
          () => parseRollup(name, document, () => undefined),
          () =>
            parseRollup(
              'r',
              { from: 's', by: document, every: document, measures: document },
              () => undefined,
            ),
          () => parseRollup('r', { from: 's', every: '1m', measures: { m: document } }, () => undefined),
        ]) {
          try {
            parse();
          } catch (error) {
            expect(error).toMatchObject({ name: 'MillraceError', code: 'bad-definition' });
            expect((error as { issues: unknown[] }).issues.length).toBeGreaterThan(0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
