import type { ReportDefinition, StreamDefinition, TriggerDefinition, WindowDefinition } from './model.ts';
import { triggerKind } from './objects/trigger.ts';
import { type Duration, withoutUndefined } from './stream.ts';

/** One condition. */
export type TriggerWhen =
  /** It is over when the number has come back to `clear` (by default the threshold). */
  | { readonly above: number; readonly clear?: number }
  | { readonly below: number; readonly clear?: number }
  /** Grown or fallen by at least this share (0.5: half) against so long ago. */
  | { readonly changes: { readonly by: number; readonly within: Duration } }
  /** Nothing, or 0, for so long. */
  | { readonly absent: Duration }
  /**
   * Further than so many standard deviations from the mean of the same time of the last 2 to 12 weeks, by the clocks of an
   * IANA zone (by default that of the window, or UTC).
   */
  | { readonly deviates: { readonly factor: number; readonly weeks: number; readonly tz?: string } };

export type TriggerDo =
  | { readonly report: ReportDefinition }
  | { readonly webhook: string }
  | { readonly email: readonly string[]; readonly subject?: string }
  | { readonly event: StreamDefinition };

export interface TriggerSpec {
  /** Each result of a window; or a question about the last `over`, asked every `every`. */
  readonly on:
    | { readonly window: WindowDefinition }
    | {
        readonly stream: StreamDefinition;
        readonly over: Duration;
        readonly every: Duration;
        /** Conditions `field:op:value`, as in a question. */
        readonly where?: readonly string[];
      };
  /** A measure of the window; of a stream, a function such as `sum(price)`, `count`, `p95(delay)`. */
  readonly measure: string;
  /** Of a stream: each combination of values has a life of its own. Of a window its keys have, without being named. */
  readonly by?: readonly string[];
  readonly when: TriggerWhen;
  /** How long the condition must hold before it fires. */
  readonly for?: Duration;
  /** After a group has fired it does not fire again for so long. */
  readonly mute?: Duration;
  readonly do?: readonly TriggerDo[];
}

/**
 * Defines a trigger: what is done when a number crosses a line. Fails with `bad-definition`.
 *
 * @example
 * export const tooManyAlarms = defineTrigger('too_many_alarms', {
 *   on: { window: alarmsPerFiveMinutes },
 *   measure: 'alarms',
 *   when: { above: 100, clear: 80 },
 *   for: '10m',
 *   do: [{ report: alarmReport }, { email: ['duty@station.example'] }],
 * });
 */
export function defineTrigger(name: string, spec: TriggerSpec): TriggerDefinition {
  const streams = new Map<string, StreamDefinition>();
  const reports = new Map<string, ReportDefinition>();
  const windows = new Map<string, WindowDefinition>();
  const remember = <D extends { readonly name: string }>(known: Map<string, D>, one: D): string => {
    known.set(one.name, one);
    return one.name;
  };
  const on =
    'window' in spec.on
      ? { window: remember(windows, spec.on.window) }
      : { ...spec.on, stream: remember(streams, spec.on.stream) };
  const actions = spec.do?.map((one) => {
    if ('report' in one) return { report: remember(reports, one.report) };
    return 'event' in one ? { event: remember(streams, one.event) } : one;
  });
  const known = { window: windows, report: reports, table: new Map(), trigger: new Map() };
  return triggerKind.parse(name, withoutUndefined({ ...spec, on: withoutUndefined(on), do: actions }), {
    stream: (one) => streams.get(one),
    rollup: () => undefined,
    object: (kind, one) => known[kind].get(one) as never,
  });
}
