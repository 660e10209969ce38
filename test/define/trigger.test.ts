import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import {
  count,
  defineStream,
  defineTrigger,
  defineWindow,
  objectToDocument,
  parseObject,
  quantile,
  type StreamDefinition,
  t,
} from '../../src/define/index.ts';

const alarms = defineStream('alarms', {
  fields: { at: t.timestamp(), station: t.string(), value: t.float64() },
  eventTime: 'at',
});
const notices = defineStream('notices', { fields: { at: t.timestamp(), who: t.string() }, eventTime: 'at' });
const perMinute = defineWindow('per_minute', {
  from: alarms,
  tumbling: { size: '1m' },
  by: ['station'],
  measures: { n: count(), value: quantile('value') },
});
const known = {
  stream: (name: string): StreamDefinition | undefined => [alarms, notices].find((one) => one.name === name),
  rollup: () => undefined,
  object: ((kind: string, name: string) =>
    kind === 'window' && name === 'per_minute' ? perMinute : undefined) as never,
};

const OVER = { stream: 'alarms', over: '5m', every: '1m' };
const mistakesOf = (document: object): readonly string[] => {
  try {
    parseObject('trigger', 'busy', document, known);
    return [];
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return error.issues.map(({ path, message }) => `${path}: ${message}`);
  }
};

describe('a trigger', () => {
  it('means the same through its document', () => {
    const busy = defineTrigger('busy', {
      on: { window: perMinute },
      measure: 'value_p95',
      when: { above: 10, clear: 8 },
      for: '2m',
      do: [{ webhook: 'https://duty.example/' }, { email: ['a@b.example'], subject: 'Busy' }],
    });
    expect(busy.by).toEqual(['station']);
    expect(parseObject('trigger', 'busy', objectToDocument(busy), known)).toEqual(busy);
    const when = { deviates: { factor: 3, weeks: 4, tz: 'Europe/Berlin' } };
    const strange = defineTrigger('strange', { on: { window: perMinute }, measure: 'n', when });
    expect(objectToDocument(strange)).toMatchObject({ when });
    expect(parseObject('trigger', 'strange', objectToDocument(strange), known)).toEqual(strange);
  });

  it.each([
    [{ on: OVER, measure: 'sum(station)', when: { above: 1 } }, /measure: sum\(station\) is no number/],
    [{ on: OVER, measure: 'top(station)', when: { above: 1 } }, /measure: is a list/],
    [{ on: OVER, measure: 'quantile(value)', when: { above: 1 } }, /p95/],
    [{ on: OVER, measure: 'count', by: ['town'], when: { above: 1 } }, /by.0: .*no field "town"/],
    [{ on: OVER, measure: 'count', when: { above: 1, below: 0 } }, /when: name exactly one/],
    [
      { on: OVER, measure: 'count', when: { deviates: { factor: 3, weeks: 4, tz: 'Mars' } } },
      /when.deviates.tz: "Mars" is no IANA zone/,
    ],
    [{ on: OVER, measure: 'count', when: { above: 1, clear: 2 } }, /when.clear: must not lie above/],
    [{ on: OVER, measure: 'count', when: { absent: '1m' }, do: [{ event: 'alarms' }] }, /feed itself/],
    [
      { on: OVER, measure: 'count', when: { above: 1 }, do: [{ event: 'notices' }] },
      /fields who are required/,
    ],
    [{ on: { window: 'per_minute' }, measure: 'value', when: { above: 1 } }, /measure: is no number/],
    [{ on: { window: 'per_minute' }, measure: 'n', when: { absent: '1m' } }, /longer than the window/],
    [
      { on: { window: 'per_minute' }, measure: 'n', when: { changes: { by: 1, within: '90s' } } },
      /multiple of how far/,
    ],
  ])('%j is refused', (document, words) => {
    expect(mistakesOf(document).join('\n')).toMatch(words);
  });
});
