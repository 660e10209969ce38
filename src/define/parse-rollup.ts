import type { StreamName } from '../base/brand.ts';
import { formatDuration, parseDuration } from '../base/duration.ts';
import {
  DIMENSIONS_MAX,
  definitionName,
  fieldName,
  hotDuration,
  MEASURES_MAX,
  rollupDocument,
} from './document.ts';
import { DIMENSION_KINDS, type Kind, NUMBER_KINDS, ORDERED_KINDS, SCALAR_KINDS } from './kinds.ts';
import { parseMeasure } from './measures.ts';
import { asObject, badDefinition, Mistakes, type Path } from './mistakes.ts';
import {
  fieldOf,
  type Measure,
  ROLLUP_TIERS_SECONDS,
  type RollupDefinition,
  type StreamDefinition,
} from './model.ts';
import { hint } from './names.ts';

const KEYS = Object.keys(rollupDocument.shape);

/**
 * Reads the JSON document of a rollup; `streamNamed` finds the stream that it rolls up.
 *
 * Fails with `bad-definition`, whose `issues` hold every mistake at once, each with its path.
 *
 * @example
 * parseRollup('by_url', { from: 'clicks', by: ['url'], every: '1m', measures: { n: 'count()' } }, find);
 */
export function parseRollup(
  name: string,
  document: unknown,
  streamNamed: (name: string) => StreamDefinition | undefined,
): RollupDefinition {
  const mistakes = new Mistakes();
  mistakes.check(definitionName, name, ['name']);
  const object = asObject(document, ['document'], mistakes);
  if (!object) throw badDefinition(`the rollup ${JSON.stringify(name)}`, mistakes.issues);

  for (const key of Object.keys(object)) {
    if (!KEYS.includes(key)) mistakes.add([key], `is not known here${hint(key, KEYS)}`);
  }
  const from = mistakes.check(rollupDocument.shape.from, object.from, ['from']);
  const stream = from === undefined ? undefined : streamNamed(from);
  if (from !== undefined && !stream) mistakes.add(['from'], `there is no stream "${from}"; define it first`);
  const by = parseDimensions(object.by, stream, mistakes);
  const everySeconds = parseEvery(object.every, mistakes);
  const measures = parseMeasures(object.measures, stream, by, mistakes);
  const hotMs = parseHot(object.hot, mistakes);
  mistakes.throwIfAny(`the rollup ${JSON.stringify(name)}`);

  return Object.freeze({
    kind: 'rollup',
    name,
    from: from as StreamName,
    by,
    everySeconds,
    measures,
    ...(hotMs === undefined ? {} : { hotMs }),
  } satisfies RollupDefinition);
}

function parseHot(document: unknown, mistakes: Mistakes): number | undefined {
  if (document === undefined) return undefined;
  if (document === false) return 0;
  return parseDuration(mistakes.check(hotDuration, document, ['hot']) ?? '0s');
}

const EVERY = ROLLUP_TIERS_SECONDS.map((seconds) => formatDuration(seconds * 1_000)).join(', ');

function parseEvery(document: unknown, mistakes: Mistakes): number {
  const text = mistakes.check(rollupDocument.shape.every, document, ['every']);
  if (text === undefined) return 0;
  const seconds = (parseDuration(text) ?? 0) / 1_000;
  if (!ROLLUP_TIERS_SECONDS.includes(seconds)) mistakes.add(['every'], `must be one of ${EVERY}`);
  return seconds;
}

export function parseDimensions(
  document: unknown,
  stream: StreamDefinition | undefined,
  mistakes: Mistakes,
): readonly string[] {
  const written = mistakes.check(rollupDocument.shape.by, document, ['by']) ?? [];
  const by = written.map((name) => currentName(stream, name));
  by.forEach((name, index) => {
    noteField(stream, name, DIMENSION_KINDS, 'a dimension', ['by', index], mistakes);
    if (by.indexOf(name) < index) mistakes.add(['by', index], `names "${name}" twice`);
  });
  if (by.length > DIMENSIONS_MAX) mistakes.add(['by'], `a rollup has at most ${DIMENSIONS_MAX} dimensions`);
  return by;
}

export function parseMeasures(
  document: unknown,
  stream: StreamDefinition | undefined,
  by: readonly string[],
  mistakes: Mistakes,
): RollupDefinition['measures'] {
  const object = asObject(document, ['measures'], mistakes);
  if (!object) return [];
  const entries = Object.entries(object);
  if (entries.length === 0)
    mistakes.add(['measures'], 'a rollup needs at least one measure, such as count()');
  if (entries.length > MEASURES_MAX) {
    mistakes.add(
      ['measures'],
      `a rollup has at most ${MEASURES_MAX} measures, this one has ${entries.length}`,
    );
    return [];
  }
  const measures: { name: string; measure: Measure }[] = [];
  const tops = new Map<string, number>();
  for (const [name, text] of entries) {
    const path = ['measures', name];
    mistakes.check(fieldName, name, path);
    if (by.includes(name)) mistakes.add(path, 'is the name of a dimension; choose another');
    if (typeof text !== 'string') {
      mistakes.add(path, 'must be text such as "sum(price)"');
      continue;
    }
    const parsed = parseMeasure(text);
    if ('problem' in parsed) {
      mistakes.add(path, parsed.problem);
      continue;
    }
    const measure = parsed.fn === 'count' ? parsed : { ...parsed, field: currentName(stream, parsed.field) };
    if (measure.fn !== 'count') {
      noteField(stream, measure.field, KINDS_OF[measure.fn], `${measure.fn}()`, path, mistakes);
    }
    if (measure.fn === 'top') {
      // One sketch is kept for each field, as large as its k.
      const other = tops.get(measure.field);
      if (other !== undefined && other !== measure.k) {
        mistakes.add(
          path,
          `"${measure.field}" already has top(${measure.field},${other}); keep the larger k only`,
        );
      }
      tops.set(measure.field, measure.k);
    }
    measures.push({ name, measure });
  }
  return measures;
}

/** A field that was renamed is meant by its earlier names, too. */
const currentName = (stream: StreamDefinition | undefined, name: string): string =>
  (stream && fieldOf(stream, name)?.name) ?? name;

const KINDS_OF: Readonly<Record<Exclude<Measure['fn'], 'count'>, readonly Kind[]>> = {
  sum: NUMBER_KINDS,
  avg: NUMBER_KINDS,
  quantile: NUMBER_KINDS,
  min: ORDERED_KINDS,
  max: ORDERED_KINDS,
  unique: SCALAR_KINDS,
  top: SCALAR_KINDS,
};

function noteField(
  stream: StreamDefinition | undefined,
  name: string,
  kinds: readonly Kind[],
  what: string,
  path: Path,
  mistakes: Mistakes,
): void {
  if (!stream) return;
  const field = fieldOf(stream, name);
  if (!field) {
    const names = stream.fields.map((one) => one.name);
    mistakes.add(path, `the stream "${stream.name}" has no field "${name}"${hint(name, names)}`);
  } else if (!kinds.includes(field.type.kind)) {
    mistakes.add(path, `"${name}" is ${field.type.kind}; ${what} needs ${kinds.join(', ')}`);
  }
}
