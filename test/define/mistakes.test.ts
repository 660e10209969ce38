import { describe, expect, it } from 'vitest';
import { Mistakes } from '../../src/define/mistakes.ts';
import { reportDocument } from '../../src/define/objects/report.ts';
import { triggerDocument } from '../../src/define/objects/trigger.ts';

type Schema = Parameters<Mistakes['check']>[0];

function told(schema: Schema, document: object): readonly string[] {
  const mistakes = new Mistakes();
  mistakes.check(schema, document, []);
  return mistakes.issues.map(({ path, message }) => `${path}: ${message}`);
}
const question = (written: unknown) => told(reportDocument, { period: '1h', questions: { a: written } });
const trigger = (over: object) =>
  told(triggerDocument, { on: { window: 'w' }, measure: 'n', when: { above: 1 }, do: [], ...over });

describe('a value that may have several forms', () => {
  it('is told by the form that it comes nearest to', () => {
    expect(question({ sql: 5 })).toEqual(['questions.a.sql: expected string, received number']);
    expect(question({ stream: 's', stats: { fn: 5 } })).toEqual([
      'questions.a.stats.fn: expected string, received number, or expected array, received number',
    ]);
    expect(question({ stream: 's', fn: ['count'] })).toEqual([
      'questions.a.stats: is missing; record expected',
      'questions.a.fn: is not known here; use one of stream, stats, chart',
    ]);
    expect(question('SELECT 1')).toEqual(['questions.a: expected object, received string']);
    expect(trigger({ do: [{ webhok: 'https://example.org' }] })).toEqual([
      'do.0.webhook: is missing; string expected',
      'do.0.webhok: is not known here; did you mean "webhook"?',
    ]);
  });

  it('is told by all of them when it is equally far from each', () => {
    expect(trigger({ on: {} })).toEqual([
      'on: window is missing; string expected, or stream is missing; string expected and over is missing; string expected and every is missing; string expected',
    ]);
  });
});
