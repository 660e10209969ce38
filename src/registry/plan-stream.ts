import { formatDuration } from '../base/duration.ts';
import { toDocument } from '../define/index.ts';
import {
  columnOf,
  type Field,
  type FieldType,
  fieldOf,
  namesOf,
  type StreamDefinition,
  watermarkOf,
} from '../define/model.ts';
import { fieldColumnType } from '../store/index.ts';
import type { Change } from './port.ts';

/**
 * Decides what a new definition of a stream means for what is stored. Nothing that is stored may change
 * its meaning: such a change is refused, with the way around it. `next` is as `carryOver` gives it; `rollups` are those
 * that must be built anew because a column of theirs changes.
 */
export function planStream(
  previous: StreamDefinition | undefined,
  next: StreamDefinition,
  rollups: readonly string[] = [],
): Change {
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
  for (const field of next.fields) {
    const before = previous.fields.find((one) => columnOf(one) === columnOf(field));
    if (before) planField(before, field, effects, reasons);
    else planNewField(field, effects, reasons);
  }
  for (const key of ['eventId', 'eventTime', 'partitionBy', 'partitions'] as const) {
    if (roleOf(previous, key) === roleOf(next, key)) continue;
    reasons.push(
      `${key} cannot change from ${shown(previous[key])} to ${shown(next[key])}: ${BECAUSE[key]}; make a new stream, or remove this one first`,
    );
  }
  planPolicies(previous, next, effects);
  if (reasons.length > 0) return { ...about, action: 'refused', effects: [], reason: reasons.join('; ') };
  if (rollups.length > 0) {
    const names = rollups.map((name) => `"${name}"`).join(', ');
    effects.push(
      `builds the rollup${rollups.length === 1 ? '' : 's'} ${names} anew, for a column of theirs changes (backfill: the stream changes when they are built; until then everything is as it was)`,
    );
  }
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

/** A field that was renamed plays the role that it played. */
function roleOf(stream: StreamDefinition, key: keyof typeof BECAUSE): string | number | undefined {
  const value = stream[key];
  const field = typeof value === 'string' ? fieldOf(stream, value) : undefined;
  return field ? columnOf(field) : value;
}

const shown = (value: string | number | undefined): string =>
  value === undefined ? 'nothing' : `"${value}"`;

function planNewField(field: Field, effects: string[], reasons: string[]): void {
  if (field.optional) {
    effects.push(`adds the field "${field.name}" (instant; empty in the events stored so far)`);
  } else {
    reasons.push(`the new field "${field.name}" must be optional: the events stored so far do not have it`);
  }
}

function planField(before: Field, after: Field, effects: string[], reasons: string[]): void {
  const name = `"${after.name}"`;
  if (before.name !== after.name) {
    const known = after.aliases?.includes(before.name) === true;
    effects.push(
      `renames the field "${before.name}" to ${name} (instant; ${known ? 'the old name is still understood' : 'the old name is no longer understood'})`,
    );
  }
  const isKnown = (alias: string) => namesOf(after).includes(alias) || alias === before.name;
  const lost = (before.aliases ?? []).filter((alias) => !isKnown(alias));
  if (lost.length > 0) {
    effects.push(
      `no longer understands ${lost.map((alias) => `"${alias}"`).join(', ')} for ${name} (instant)`,
    );
  }
  const gained = (after.aliases ?? []).filter((alias) => !namesOf(before).includes(alias));
  if (gained.length > 0) {
    effects.push(`understands ${gained.map((alias) => `"${alias}"`).join(', ')} for ${name}, too (instant)`);
  }
  const problem = typeProblem(before.type, after.type);
  if (problem !== undefined) {
    reasons.push(`the field ${name} ${problem}; add another field with the new type`);
    return;
  }
  if (fieldColumnType({ ...before, optional: true }) !== fieldColumnType({ ...after, optional: true })) {
    effects.push(
      `widens the field ${name} from ${typeText(before.type)} to ${typeText(after.type)} (instant; stored values stay as they are)`,
    );
  } else if (JSON.stringify(before.type) !== JSON.stringify(after.type)) {
    effects.push(`changes what the field ${name} accepts (instant; stored events stay as they are)`);
  }
  if (after.retired && !before.retired) {
    effects.push(
      `retires the field ${name} (instant; it is no longer taken from events, what is stored of it stays)`,
    );
    return;
  }
  if (before.retired && !after.retired) effects.push(`takes the field ${name} from events again (instant)`);
  if (before.optional === after.optional) return;
  if (after.optional) {
    effects.push(`makes the field ${name} optional (instant)`);
  } else if (before.type.kind === 'array' && !before.retired) {
    effects.push(`makes the field ${name} required (instant)`);
  } else {
    reasons.push(`the optional field ${name} cannot become required: stored events may lack it`);
  }
}

const typeText = (type: FieldType): string => {
  if (type.kind === 'decimal') return `decimal(${type.precision},${type.scale})`;
  return type.kind === 'array' ? `array of ${typeText(type.of)}` : type.kind;
};

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
    if (before.scale !== after.scale) return 'cannot change its scale';
    return after.precision >= before.precision ? undefined : 'cannot keep fewer digits than it has';
  }
  // Every int32 is an int64; other kinds differ in what their values mean or in what they can hold.
  if (before.kind === 'int32' && after.kind === 'int64') return undefined;
  return before.kind === after.kind ? undefined : `cannot change from ${before.kind} to ${after.kind}`;
}

/** How events are treated from now on. What is stored is not touched. */
function planPolicies(previous: StreamDefinition, next: StreamDefinition, effects: string[]): void {
  const duration = (ms: number | undefined, absent: string) =>
    ms === undefined || ms === 0 ? absent : formatDuration(ms);
  const lateness = ({ lateness: late }: StreamDefinition) =>
    late ? `${formatDuration(late.allowedMs)}, then ${late.then}` : 'none';
  const watermark = (stream: StreamDefinition) => {
    const { delayMs, idleMs, source } = watermarkOf(stream);
    const idle = idleMs === undefined ? 'never idle' : `idle after ${formatDuration(idleMs)}`;
    return `${formatDuration(delayMs)} behind each ${source === undefined ? 'partition' : `"${source}"`}, ${idle}`;
  };
  const rate = ({ dedupeRatePerSecond }: StreamDefinition) =>
    dedupeRatePerSecond === undefined ? 'undeclared' : `${dedupeRatePerSecond} ids a second`;
  const policies: readonly (readonly [string, string, string])[] = [
    ['dedupe', duration(previous.dedupeWithinMs, 'off'), duration(next.dedupeWithinMs, 'off')],
    ['dedupe.rate', rate(previous), rate(next)],
    ['lateness', lateness(previous), lateness(next)],
    ['watermark', watermark(previous), watermark(next)],
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
