/** Triggers: a condition on a window's or a rollup's number, and what is done when it holds. */
import { z } from 'zod';
import { formatDuration, parseDuration } from '../../base/duration.ts';
import { DIMENSIONS_MAX, definitionName, duration, strict } from '../document.ts';
import type { KindOf, Reference } from './kinds.ts';
import { readObject, tableOfColumn } from './reading.ts';
import { actionsOf, checkCondition, checkSource } from './trigger-checks.ts';

/** What is looked at: each result of a window, or a stats question about the last `overMs`, asked every `everyMs`. */
export type TriggerSource =
  | { readonly kind: 'window'; readonly window: string }
  | {
      readonly kind: 'stats';
      readonly stream: string;
      readonly overMs: number;
      readonly everyMs: number;
      readonly where: readonly string[];
    };

export type TriggerCondition =
  /** Once it holds, it holds until the number has come back to `clear`: hysteresis. */
  | { readonly kind: 'above' | 'below'; readonly value: number; readonly clear: number }
  /** The number has grown or fallen by at least this share (0.5: half) against `withinMs` ago. */
  | { readonly kind: 'changes'; readonly by: number; readonly withinMs: number }
  /** No result, or a number of 0, for so long. */
  | { readonly kind: 'absent'; readonly forMs: number }
  /** Further than `factor` standard deviations from the mean of the same time of the last weeks, by the clocks of `zone`. */
  | {
      readonly kind: 'deviates';
      readonly factor: number;
      readonly weeks: number;
      /** IANA zone; undefined: that of the window, or UTC. */
      readonly zone?: string | undefined;
    };

export type TriggerAction =
  | { readonly kind: 'report'; readonly report: string }
  | { readonly kind: 'webhook'; readonly url: string }
  | { readonly kind: 'email'; readonly to: readonly string[]; readonly subject: string | undefined }
  | { readonly kind: 'event'; readonly stream: string };

export interface TriggerDefinition {
  readonly kind: 'trigger';
  readonly name: string;
  readonly on: TriggerSource;
  /** Of a window, the name of a measure; of stats, a function such as `sum(price)`. */
  readonly measure: string;
  /** Each combination of values has a state of its own; of a window, its keys. */
  readonly by: readonly string[];
  readonly when: TriggerCondition;
  /** How long the condition must hold before it fires. */
  readonly forMs: number;
  /** After a group has fired it does not fire again for so long. */
  readonly muteMs: number;
  readonly actions: readonly TriggerAction[];
}

const condition = strict({
  above: z.number().optional(),
  below: z.number().optional(),
  clear: z.number().optional().describe('Where it counts as over again. Default the threshold itself.'),
  changes: strict({
    by: z.number().positive(),
    within: duration('1s', '31d', 'Against how long ago.'),
  }).optional(),
  absent: duration('1s', '31d', 'No result, or 0, for so long.').optional(),
  deviates: strict({
    factor: z.number().positive().max(100),
    weeks: z.int().min(2).max(12),
    tz: z.string().optional().describe('IANA zone of the week. Default that of the window, or UTC.'),
  })
    .optional()
    .describe('Standard deviations from the mean of the same time of the last weeks.'),
});

const action = z.union([
  strict({ report: definitionName }),
  strict({ webhook: z.url({ protocol: /^https?$/ }) }),
  strict({ email: z.array(z.email()).min(1).max(50), subject: z.string().max(200).optional() }),
  strict({ event: definitionName.describe('The stream into which an event is written.') }),
]);

export const triggerDocument = strict({
  on: z.union([
    strict({ window: definitionName }),
    strict({
      stream: definitionName,
      over: duration('1s', '31d', 'How far back the question reaches.'),
      every: duration('1s', '1d', 'How often it is asked.'),
      where: z.array(z.string()).max(32).optional(),
    }),
  ]),
  measure: z.string().describe('A measure of the window, or a function such as `sum(price)`.'),
  by: z
    .array(z.string())
    .max(DIMENSIONS_MAX)
    .optional()
    .describe(
      'Each combination of values has a state of its own. Of a window: its keys, which need not be written.',
    ),
  when: condition,
  for: duration('0s', '31d', 'How long it must hold.').optional(),
  mute: duration('0s', '31d', 'How long it keeps silent after it has fired.').optional(),
  do: z.array(action).max(16).optional(),
}).describe('A trigger: what is done when a number crosses a line.');

export const triggerKind: KindOf<TriggerDefinition> = {
  schema: triggerDocument,
  parse: (name, document, known) =>
    readObject('trigger', name, document, triggerDocument, (read, mistakes): TriggerDefinition => {
      const ms = (text: string | undefined): number => (text === undefined ? 0 : parseDuration(text)!);
      const on: TriggerSource =
        'window' in read.on
          ? { kind: 'window', window: read.on.window }
          : {
              kind: 'stats',
              stream: read.on.stream,
              overMs: ms(read.on.over),
              everyMs: ms(read.on.every),
              where: read.on.where ?? [],
            };
      const measure = read.measure.replaceAll(/\s+/g, '');
      const by = checkSource({ name, on, measure, by: read.by }, known, mistakes);
      const actions = (read.do ?? []).map((one): TriggerAction => {
        if ('report' in one) return { kind: 'report', report: one.report };
        if ('webhook' in one) return { kind: 'webhook', url: one.webhook };
        if ('email' in one) return { kind: 'email', to: one.email, subject: one.subject };
        return { kind: 'event', stream: one.event };
      });
      actionsOf({ name, on, by, actions }, known, mistakes);
      const when = conditionOf(read.when);
      if (!when) mistakes.add(['when'], 'name exactly one of above, below, changes, absent, deviates');
      else checkCondition({ on, when, clear: read.when.clear }, known, mistakes);
      return {
        kind: 'trigger',
        name,
        on,
        measure,
        by,
        when: when ?? { kind: 'above', value: 0, clear: 0 },
        forMs: ms(read.for),
        muteMs: ms(read.mute),
        actions,
      };
    }),
  toDocument: ({ on, measure, by, when, forMs, muteMs, actions }) => ({
    on:
      on.kind === 'window'
        ? { window: on.window }
        : {
            stream: on.stream,
            over: formatDuration(on.overMs),
            every: formatDuration(on.everyMs),
            ...(on.where.length === 0 ? {} : { where: [...on.where] }),
          },
    measure,
    by: [...by],
    when: conditionToDocument(when),
    for: formatDuration(forMs),
    mute: formatDuration(muteMs),
    do: actions.map(actionToDocument),
  }),
  references: ({ on, by, actions }) => [
    on.kind === 'window' ? { kind: 'window', name: on.window } : { kind: 'stream', name: on.stream },
    ...(on.kind === 'window' ? [] : tablesOf([...by, ...on.where])),
    ...actions.flatMap((one): Reference[] => {
      if (one.kind === 'report') return [{ kind: 'report', name: one.report }];
      return one.kind === 'event' ? [{ kind: 'stream', name: one.stream }] : [];
    }),
  ],
};

const tablesOf = (written: readonly string[]): readonly Reference[] => {
  const named = written.flatMap((one) => tableOfColumn(one.split(':', 1)[0]!) ?? []);
  return [...new Set(named)].map((name) => ({ kind: 'table', name }));
};

function conditionOf(read: z.infer<typeof condition>): TriggerCondition | undefined {
  const { above, below, clear, changes, absent, deviates } = read;
  const given = [above, below, changes, absent, deviates].filter((one) => one !== undefined);
  if (given.length !== 1) return undefined;
  if (above !== undefined) return { kind: 'above', value: above, clear: clear ?? above };
  if (below !== undefined) return { kind: 'below', value: below, clear: clear ?? below };
  if (changes) return { kind: 'changes', by: changes.by, withinMs: parseDuration(changes.within)! };
  if (absent !== undefined) return { kind: 'absent', forMs: parseDuration(absent)! };
  const { tz, ...rest } = deviates!;
  return { kind: 'deviates', ...rest, zone: tz };
}

function conditionToDocument(when: TriggerCondition) {
  switch (when.kind) {
    case 'above':
      return { above: when.value, clear: when.clear };
    case 'below':
      return { below: when.value, clear: when.clear };
    case 'changes':
      return { changes: { by: when.by, within: formatDuration(when.withinMs) } };
    case 'absent':
      return { absent: formatDuration(when.forMs) };
    case 'deviates':
      return {
        deviates: {
          ...{ factor: when.factor, weeks: when.weeks },
          ...(when.zone === undefined ? {} : { tz: when.zone }),
        },
      };
  }
}

function actionToDocument(one: TriggerAction) {
  switch (one.kind) {
    case 'report':
      return { report: one.report };
    case 'webhook':
      return { webhook: one.url };
    case 'email':
      return { email: [...one.to], ...(one.subject === undefined ? {} : { subject: one.subject }) };
    case 'event':
      return { event: one.stream };
  }
}
