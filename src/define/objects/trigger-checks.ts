/** What the parts of a trigger's document must know of one another, and of what they name. */
import { DIMENSION_KINDS, NUMBER_KINDS, SCALAR_KINDS } from '../kinds.ts';
import { parseMeasure } from '../measures.ts';
import type { Mistakes } from '../mistakes.ts';
import { fieldOf, type Measure, type StreamDefinition } from '../model.ts';
import { hint } from '../names.ts';
import type { Known } from './kinds.ts';
import { isTimeZone } from './reading.ts';
import type { TriggerAction, TriggerCondition, TriggerSource } from './trigger.ts';
import { numbersOf, type WindowDefinition } from './window.ts';

interface Asked {
  readonly name: string;
  readonly on: TriggerSource;
  readonly measure: string;
  readonly by: readonly string[] | undefined;
}

/** The most dimensions that a question may have. */
const STATS_BY_MAX = 8;

/** The groups of the trigger. */
export function checkSource(asked: Asked, known: Known, mistakes: Mistakes): readonly string[] {
  const { on } = asked;
  if (known.stream(asked.name) && known.stream(asked.name)?.resultOf !== 'trigger')
    mistakes.add(['name'], 'a stream has this name, and firings go into a stream of their own; take another');
  if (on.kind === 'window') {
    const window = known.object('window', on.window);
    if (window) return checkWindow(asked, window, known, mistakes);
    mistakes.add(['on', 'window'], `there is no window "${on.window}"; define it first`);
  } else {
    const stream = known.stream(on.stream);
    if (stream) checkStats(asked, stream, mistakes);
    else mistakes.add(['on', 'stream'], `there is no stream "${on.stream}"; define it first`);
  }
  return asked.by ?? [];
}

function checkWindow(
  { on, measure, by }: Asked,
  window: WindowDefinition,
  known: Known,
  mistakes: Mistakes,
): readonly string[] {
  const found = window.measures.find((one) => one.name === measure && one.measure.fn !== 'quantile');
  const names = window.measures.flatMap(numbersOf);
  if (found) {
    const problem = notANumber(found.measure, known.stream(window.from));
    if (problem !== undefined) mistakes.add(['measure'], problem);
  } else if (!names.includes(measure))
    mistakes.add(['measure'], `is no number of "${window.name}"${hint(measure, names)}`);
  for (const [index, key] of (by ?? []).entries()) {
    if (!window.by.includes(key))
      mistakes.add(['by', index], `is no key of "${window.name}"${hint(key, window.by)}`);
  }
  const missing = window.by.filter((key) => by !== undefined && by.length > 0 && !by.includes(key));
  if (missing.length > 0)
    mistakes.add(
      ['by'],
      `"${on.kind === 'window' ? on.window : ''}" has a result for each combination of ${window.by.join(', ')}; name all of them, or none`,
    );
  return window.by;
}

function checkStats({ on, measure, by = [] }: Asked, stream: StreamDefinition, mistakes: Mistakes): void {
  if (on.kind !== 'stats') return;
  if (on.overMs % 1_000 !== 0 || on.everyMs % 1_000 !== 0)
    mistakes.add(['on'], 'over and every are whole seconds');
  const plain = /^(count|rate)(\(\))?$/.test(measure);
  const parsed = plain ? undefined : parseMeasure(measure);
  if (parsed && 'problem' in parsed) mistakes.add(['measure'], parsed.problem);
  else if (parsed && /^quantile/.test(measure))
    mistakes.add(['measure'], 'write the percentile, for example p95(price)');
  else if (parsed) {
    const problem = notANumber(parsed, stream);
    if (problem !== undefined) mistakes.add(['measure'], problem);
  }
  if (by.length > STATS_BY_MAX) mistakes.add(['by'], `a question has at most ${STATS_BY_MAX} dimensions`);
  const names = stream.fields.map((field) => field.name);
  for (const [index, name] of by.entries()) {
    // A column of a dimension table is looked for when the question is asked.
    if (name.includes('.')) continue;
    const field = fieldOf(stream, name);
    if (!field) mistakes.add(['by', index], `"${stream.name}" has no field "${name}"${hint(name, names)}`);
    else if (!(DIMENSION_KINDS as readonly string[]).includes(field.type.kind))
      mistakes.add(['by', index], `"${name}" is ${field.type.kind}; that cannot be a dimension`);
    if (by.indexOf(name) < index) mistakes.add(['by', index], `names "${name}" twice`);
  }
}

/** Why a measure gives no number that can be compared; undefined when it does. */
function notANumber(measure: Measure, stream: StreamDefinition | undefined): string | undefined {
  if (measure.fn === 'count') return undefined;
  if (measure.fn === 'top') return 'is a list of values; a trigger looks at one number';
  const field = stream && fieldOf(stream, measure.field);
  if (!field) return stream && `"${stream.name}" has no field "${measure.field}"`;
  const kinds: readonly string[] = measure.fn === 'unique' ? SCALAR_KINDS : NUMBER_KINDS;
  return kinds.includes(field.type.kind)
    ? undefined
    : `${measure.fn}(${measure.field}) is no number: "${field.name}" is ${field.type.kind}`;
}

export function checkCondition(
  {
    on,
    when,
    clear,
  }: { readonly on: TriggerSource; readonly when: TriggerCondition; readonly clear: number | undefined },
  known: Known,
  mistakes: Mistakes,
): void {
  if (clear !== undefined && when.kind !== 'above' && when.kind !== 'below')
    mistakes.add(['when', 'clear'], 'belongs to above and below');
  if (when.kind === 'above' && when.clear > when.value)
    mistakes.add(['when', 'clear'], 'must not lie above the threshold: it would be over as soon as it began');
  if (when.kind === 'below' && when.clear < when.value)
    mistakes.add(['when', 'clear'], 'must not lie below the threshold: it would be over as soon as it began');
  if (when.kind === 'deviates' && when.zone !== undefined && !isTimeZone(when.zone))
    mistakes.add(['when', 'deviates', 'tz'], `"${when.zone}" is no IANA zone; write Europe/Berlin`);
  if (on.kind === 'stats') {
    if (when.kind === 'absent' && when.forMs < on.everyMs)
      mistakes.add(['when', 'absent'], 'must not be shorter than `every`');
    return;
  }
  const shape = known.object('window', on.window)?.shape;
  if ((when.kind === 'changes' || when.kind === 'deviates') && shape?.kind === 'session')
    mistakes.add(['when', when.kind], 'sessions have no earlier window to be compared with');
  if (when.kind === 'changes' && shape && shape.kind !== 'session') {
    const stepMs = shape.kind === 'sliding' ? shape.slideMs : shape.sizeMs;
    if (when.withinMs % stepMs !== 0)
      mistakes.add(['when', 'changes', 'within'], 'must be a multiple of how far the windows lie apart');
  }
  if (when.kind === 'absent' && shape && shape.kind !== 'session' && when.forMs <= shape.sizeMs)
    mistakes.add(['when', 'absent'], 'must be longer than the window: a result comes when it is over');
}

/** Members of the event that a trigger writes into a stream, apart from the fields of its groups. */
export const EVENT_MEMBERS = [
  ...(['trigger', 'status', 'time', 'started_at', 'since'] as const),
  ...(['firing_id', 'value', 'group', 'label'] as const),
] as const;

export function actionsOf(
  {
    name,
    on,
    by,
    actions,
  }: {
    readonly name: string;
    readonly on: TriggerSource;
    readonly by: readonly string[];
    readonly actions: readonly TriggerAction[];
  },
  known: Known,
  mistakes: Mistakes,
): void {
  const source = on.kind === 'stats' ? on.stream : known.object('window', on.window)?.from;
  for (const [index, one] of actions.entries()) {
    if (one.kind === 'report' && !known.object('report', one.report))
      mistakes.add(['do', index, 'report'], `there is no report "${one.report}"; define it first`);
    if (one.kind !== 'event') continue;
    const path = ['do', index, 'event'];
    const stream = known.stream(one.stream);
    if (!stream) {
      mistakes.add(path, `there is no stream "${one.stream}"; define it first`);
      continue;
    }
    if (stream.resultOf !== undefined)
      mistakes.add(path, `"${one.stream}" holds the results of the ${stream.resultOf} of that name`);
    if (one.stream === source) mistakes.add(path, `the trigger "${name}" would feed itself`);
    const eventId = stream.eventId === undefined ? undefined : fieldOf(stream, stream.eventId);
    if (eventId && eventId.type.kind !== 'string')
      mistakes.add(path, `the id of its events must be text: "${eventId.name}" is ${eventId.type.kind}`);
    const given = new Set<string | undefined>([...EVENT_MEMBERS, ...by, stream.eventTime, stream.eventId]);
    const lacking = stream.fields.filter((field) => !field.optional && !given.has(field.name));
    if (lacking.length > 0)
      mistakes.add(
        path,
        `its fields ${lacking.map((field) => field.name).join(', ')} are required, and a firing does not have them`,
      );
  }
}
