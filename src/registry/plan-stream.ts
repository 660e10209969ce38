import { formatDuration } from '../base/duration.ts';
import { toDocument } from '../define/index.ts';
import { type Field, type FieldType, fieldOf, type StreamDefinition } from '../define/model.ts';
import type { Change } from './port.ts';

/**
 * Decides what a new definition of a stream means for what is stored. Nothing that is stored may change
 * its meaning: such a change is refused, with the way around it.
 */
export function planStream(previous: StreamDefinition | undefined, next: StreamDefinition): Change {
  const about = { kind: 'stream', name: next.name } as const;
  if (!previous) {
    const count = next.fields.length;
    return {
      ...about,
      action: 'create',
      effects: [`makes the stream with ${count} field${count === 1 ? '' : 's'}`],
    };
  }
  const effects: string[] = [];
  const reasons: string[] = [];
  for (const field of previous.fields) {
    const changed = fieldOf(next, field.name);
    if (changed) planField(field, changed, effects, reasons);
    else reasons.push(`the field "${field.name}" cannot be removed: ${howToRetire(field)}`);
  }
  for (const field of next.fields) {
    if (fieldOf(previous, field.name)) continue;
    if (field.optional) {
      effects.push(`adds the field "${field.name}" (instant; empty in the events stored so far)`);
    } else {
      reasons.push(`the new field "${field.name}" must be optional: the events stored so far do not have it`);
    }
  }
  for (const key of ['eventId', 'eventTime', 'partitionBy', 'partitions'] as const) {
    if (previous[key] === next[key]) continue;
    reasons.push(
      `${key} cannot change from ${shown(previous[key])} to ${shown(next[key])}: ${BECAUSE[key]}; make a new stream, or remove this one first`,
    );
  }
  planPolicies(previous, next, effects);
  if (reasons.length > 0) return { ...about, action: 'refused', effects: [], reason: reasons.join('; ') };
  if (effects.length > 0) return { ...about, action: 'change', effects };
  const same = JSON.stringify(toDocument(previous)) === JSON.stringify(toDocument(next));
  return same
    ? { ...about, action: 'none', effects: [] }
    : { ...about, action: 'change', effects: ['lists the same in another order (instant)'] };
}

const BECAUSE = {
  eventId: 'stored events were told apart by the old one',
  eventTime: 'stored events were placed in time by the old one',
  partitionBy: 'it would break the order of events that belong together',
  partitions: 'it would break the order of events that belong together',
} as const;

const shown = (value: string | number | undefined): string =>
  value === undefined ? 'nothing' : `"${value}"`;

const howToRetire = (field: Field): string =>
  field.optional
    ? 'stop sending it and leave it in the definition, where it takes next to no room'
    : 'every event must have it; make a new stream without it';

function planField(before: Field, after: Field, effects: string[], reasons: string[]): void {
  const name = `"${before.name}"`;
  const problem = typeProblem(before.type, after.type);
  if (problem !== undefined) {
    reasons.push(`the field ${name} ${problem}; add another field with the new type`);
    return;
  }
  if (JSON.stringify(before.type) !== JSON.stringify(after.type)) {
    effects.push(`changes what the field ${name} accepts (instant; stored events stay as they are)`);
  }
  if (before.optional === after.optional) return;
  if (before.type.kind === 'array') {
    effects.push(`makes the field ${name} ${after.optional ? 'optional' : 'required'} (instant)`);
  } else {
    reasons.push(
      after.optional
        ? `the required field ${name} cannot become optional: its column has no room for "absent"; make a new stream`
        : `the optional field ${name} cannot become required: stored events may lack it`,
    );
  }
}

/** Why stored values of type `before` would not be values of type `after`; `undefined` when they all are. */
function typeProblem(before: FieldType, after: FieldType): string | undefined {
  if (before.kind === 'array' && after.kind === 'array') return typeProblem(before.of, after.of);
  if (before.kind === 'enum' && after.kind === 'enum') {
    const lost = before.values.filter((value) => !after.values.includes(value));
    return lost.length === 0
      ? undefined
      : `cannot lose the value${lost.length === 1 ? '' : 's'} ${lost.map((value) => JSON.stringify(value)).join(', ')}: stored events may have it`;
  }
  if (before.kind === 'decimal' && after.kind === 'decimal') {
    const same = before.precision === after.precision && before.scale === after.scale;
    return same ? undefined : 'cannot change its precision or scale';
  }
  return before.kind === after.kind ? undefined : `cannot change from ${before.kind} to ${after.kind}`;
}

/** How events are treated from now on. What is stored is not touched. */
function planPolicies(previous: StreamDefinition, next: StreamDefinition, effects: string[]): void {
  const duration = (ms: number | undefined, absent: string) =>
    ms === undefined || ms === 0 ? absent : formatDuration(ms);
  const lateness = ({ lateness: late }: StreamDefinition) =>
    late ? `${formatDuration(late.allowedMs)}, then ${late.then}` : 'none';
  const policies: readonly (readonly [string, string, string])[] = [
    ['dedupe', duration(previous.dedupeWithinMs, 'off'), duration(next.dedupeWithinMs, 'off')],
    ['lateness', lateness(previous), lateness(next)],
    ['future', duration(previous.futureAllowedMs, 'none'), duration(next.futureAllowedMs, 'none')],
    ...(['logMs', 'hotMs', 'coldMs', 'quarantineMs'] as const).map(
      (key) =>
        [
          `retention.${key.slice(0, -2)}`,
          duration(previous.retention[key], key === 'quarantineMs' ? 'as hot' : 'for ever'),
          duration(next.retention[key], key === 'quarantineMs' ? 'as hot' : 'for ever'),
        ] as const,
    ),
  ];
  for (const [name, before, after] of policies) {
    if (before !== after) effects.push(`changes ${name} from ${before} to ${after} (instant)`);
  }
}
