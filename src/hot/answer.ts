/** Questions put to the recent buckets of a rollup. */
import type { BucketEvents } from './bucket-events.ts';
import { emptyOf } from './columns.ts';
import type { HotAnswer, HotGroup, HotQuestion } from './port.ts';
import type { RecentBuckets } from './recent-buckets.ts';
import type { Segment } from './segment.ts';
import type { HotValue } from './values.ts';

/** Rows that one question may look at: about ten milliseconds in which nothing else happens. */
const ROWS_MAX = 200_000;
/** Keys that are looked up one by one. */
const LOOKUPS_MAX = 2_000;
const GROUPS_MAX = 20_000;

/**
 * Undefined: not to be told from here; ask the engine. `want` hears of a bucket whose events would have to be known one by one.
 */
export function answerFrom(
  recent: RecentBuckets,
  question: HotQuestion,
  want: (bucket: number) => void = () => undefined,
): HotAnswer | undefined {
  const { shape, fromSeconds } = recent;
  if (question.fromSeconds < fromSeconds) return undefined;
  if (question.edges.some((edge) => edge.fromSeconds < fromSeconds)) return undefined;
  const states = question.states.map((name) => shape.states.findIndex((state) => state.name === name));
  const by = question.by.map((column) => shape.dimensions.findIndex((one) => one.column === column));
  if (states.includes(-1) || by.includes(-1)) return undefined;
  const conditions = new Conditions(recent, question);
  const keys = keysOf(recent, question, conditions);
  const edges: Edge[] = [];
  for (const { fromSeconds: from, toSeconds: to, fromMs, toMs } of question.edges) {
    for (const segment of recent.between(from, to)) {
      if (holdsNothing(segment, keys, conditions)) continue;
      if (!segment.events?.isWhole) {
        want(segment.bucket);
        return undefined;
      }
      edges.push({ bucket: segment.bucket, events: segment.events, fromMs, toMs });
    }
  }
  const segments = recent.between(question.fromSeconds, question.toSeconds);
  const groups = new Groups(recent, question, states, by);
  const isDone =
    visitEdges(edges, (bucket) => bucket < question.fromSeconds, keys, conditions, groups) &&
    (keys ? visitKeys(segments, keys, groups) : visitAll(segments, conditions, groups)) &&
    visitEdges(edges, (bucket) => bucket >= question.fromSeconds, keys, conditions, groups);
  return isDone ? groups.told() : undefined;
}

interface Edge {
  readonly bucket: number;
  readonly events: BucketEvents;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Those before the whole buckets, then those behind: buckets of the answer are met in their order. */
function visitEdges(
  edges: readonly Edge[],
  isMeant: (bucket: number) => boolean,
  keys: readonly number[] | undefined,
  conditions: Conditions,
  groups: Groups,
): boolean {
  for (const { bucket, events, fromMs, toMs } of edges) {
    if (!isMeant(bucket)) continue;
    const start = groups.startOf(bucket);
    if (keys) {
      for (const key of keys)
        events.visitKey(key, fromMs, toMs, (row) => groups.add(events, row, key, start));
    } else {
      events.visitAll(fromMs, toMs, (row, key) => {
        if (conditions.accept(key)) groups.add(events, row, key, start);
      });
    }
    if (groups.tooMany) return false;
  }
  return true;
}

/** Ends with the first row that matches; few do not when many are there. */
function holdsNothing(
  segment: Segment,
  keys: readonly number[] | undefined,
  conditions: Conditions,
): boolean {
  if (keys) return keys.length <= ROWS_MAX && keys.every((key) => segment.rowOf(key) < 0);
  if (segment.count > ROWS_MAX) return false;
  for (let row = 0; row < segment.count; row += 1) if (conditions.accept(segment.keyAt(row))) return false;
  return true;
}

function visitKeys(segments: readonly Segment[], keys: readonly number[], groups: Groups): boolean {
  if (keys.length * segments.length > ROWS_MAX) return false;
  for (const segment of segments) {
    const start = groups.startOf(segment.bucket);
    for (const key of keys) {
      const row = segment.rowOf(key);
      if (row >= 0) groups.add(segment, row, key, start);
    }
    if (groups.tooMany) return false;
  }
  return true;
}

function visitAll(segments: readonly Segment[], conditions: Conditions, groups: Groups): boolean {
  if (segments.reduce((sum, segment) => sum + segment.count, 0) > ROWS_MAX) return false;
  for (const segment of segments) {
    const start = groups.startOf(segment.bucket);
    for (let row = 0; row < segment.count; row += 1) {
      const key = segment.keyAt(row);
      if (conditions.accept(key)) groups.add(segment, row, key, start);
    }
    if (groups.tooMany) return false;
  }
  return true;
}

/** The keys that can match, when a condition names values; undefined: look at all. */
function keysOf(
  { keys, shape }: RecentBuckets,
  { equal, tests }: HotQuestion,
  conditions: Conditions,
): readonly number[] | undefined {
  if (equal.length === 0) return undefined;
  const named: { readonly dimension: number; readonly ids: readonly number[] }[] = [];
  for (const { column, values } of equal) {
    const dimension = shape.dimensions.findIndex((one) => one.column === column);
    const ids = keys.dictionaries[dimension]?.findAll(values) ?? [];
    if (ids.length === 0) return [];
    named.push({ dimension, ids });
  }
  const whole = shape.dimensions.map((_, at) => named.find(({ dimension }) => dimension === at)?.ids);
  if (whole.every((ids) => ids !== undefined)) {
    const tuples = whole.reduce((product, ids) => product * ids.length, 1);
    if (tuples > LOOKUPS_MAX) return undefined;
    // Every dimension has its one condition: whoever is found fulfils them all.
    const isSure = tests.length === 0 && named.length === whole.length;
    const found: number[] = [];
    for (const tuple of tuplesOf(whole)) {
      const key = keys.find(tuple);
      if (key !== undefined && (isSure || conditions.accept(key))) found.push(key);
    }
    return found;
  }
  const postings = named.map(({ dimension, ids }) => ids.map((id) => keys.having(dimension, id)));
  const sizes = postings.map((sets) => sets.reduce((sum, set) => sum + set.size, 0));
  const least = sizes.indexOf(Math.min(...sizes));
  if (sizes[least]! > ROWS_MAX) return undefined;
  return postings[least]!.flatMap((set) => [...set]).filter((key) => conditions.accept(key));
}

function tuplesOf(parts: readonly (readonly number[])[]): readonly (readonly number[])[] {
  if (parts.every((ids) => ids.length === 1)) return [parts.map((ids) => ids[0]!)];
  return parts.reduce<number[][]>(
    (tuples, ids) => tuples.flatMap((one) => ids.map((id) => [...one, id])),
    [[]],
  );
}

/** Whether a key fulfils every condition; what is found out about a value is remembered. */
class Conditions {
  readonly #recent: RecentBuckets;
  readonly #question: HotQuestion;
  #checks: readonly ((key: number) => boolean)[] | undefined;

  constructor(recent: RecentBuckets, question: HotQuestion) {
    this.#recent = recent;
    this.#question = question;
  }

  accept(key: number): boolean {
    // Made only when somebody has to be looked at: not for who is found by his values.
    this.#checks ??= this.#make();
    return this.#checks.every((check) => check(key));
  }

  #make(): readonly ((key: number) => boolean)[] {
    const { keys, shape } = this.#recent;
    const { equal, tests } = this.#question;
    return [
      ...equal.map(({ column, values }) => {
        const wanted = new Set<string | null>(values);
        return { column, accepts: (value: string | null) => wanted.has(value) };
      }),
      ...tests,
    ].map(({ column, accepts }) => {
      const dimension = shape.dimensions.findIndex((one) => one.column === column);
      const known = new Map<number, boolean>();
      return (key: number): boolean => {
        const id = keys.valueId(key, dimension);
        let verdict = known.get(id);
        if (verdict === undefined) {
          verdict = accepts(keys.valueOf(key, dimension));
          known.set(id, verdict);
        }
        return verdict;
      };
    });
  }
}

interface Merged {
  readonly key: number;
  readonly start: number;
  readonly values: HotValue[];
}

class Groups {
  readonly #recent: RecentBuckets;
  readonly #question: HotQuestion;
  readonly #states: readonly number[];
  readonly #by: readonly number[];
  /** By number of the group, then of the start. */
  readonly #merged = new Map<number, Merged>();
  /** Numbers of groups, by the numbers of their values; one for each key when a key is a group. */
  readonly #groups: Node = new Map();
  #groupCount = 0;
  #at = 0;

  constructor(
    recent: RecentBuckets,
    question: HotQuestion,
    states: readonly number[],
    by: readonly number[],
  ) {
    this.#recent = recent;
    this.#question = question;
    this.#states = states;
    this.#by = by;
    if (by.length === 0 && question.starts.length === 0) this.#mergedOf(0, 0, 0);
  }

  get tooMany(): boolean {
    return this.#merged.size > GROUPS_MAX;
  }

  /** Number of the answer's bucket; call it with ascending buckets. */
  startOf(bucketSeconds: number): number {
    const { starts } = this.#question;
    while (this.#at + 1 < starts.length && starts[this.#at + 1]! <= bucketSeconds * 1_000) this.#at += 1;
    return this.#at;
  }

  add({ columns }: Pick<Segment, 'columns'>, row: number, key: number, start: number): void {
    const { values } = this.#mergedOf(this.#groupOf(key), key, start);
    for (let i = 0; i < values.length; i += 1) values[i] = columns[this.#states[i]!]!.merge(row, values[i]!);
  }

  told(): HotGroup[] {
    const { starts } = this.#question;
    return [...this.#merged.values()].map(({ key, start, values }) => ({
      startMs: starts[start],
      by: this.#by.map((dimension) => this.#recent.keys.valueOf(key, dimension)),
      states: values,
    }));
  }

  #mergedOf(group: number, key: number, start: number): Merged {
    const at = group * Math.max(1, this.#question.starts.length) + start;
    let merged = this.#merged.get(at);
    if (!merged) {
      const { states } = this.#recent.shape;
      merged = { key, start, values: this.#states.map((state) => emptyOf(states[state]!)) };
      this.#merged.set(at, merged);
    }
    return merged;
  }

  #groupOf(key: number): number {
    let node = this.#groups;
    for (let i = 0; i < this.#by.length - 1; i += 1) {
      const id = this.#recent.keys.valueId(key, this.#by[i]!);
      let next = node.get(id) as Node | undefined;
      if (!next) {
        next = new Map();
        node.set(id, next);
      }
      node = next;
    }
    const last = this.#by.at(-1);
    if (last === undefined) return 0;
    const id = this.#recent.keys.valueId(key, last);
    let group = node.get(id) as number | undefined;
    if (group === undefined) {
      group = this.#groupCount;
      this.#groupCount += 1;
      node.set(id, group);
    }
    return group;
  }
}

/** By the number of a value: the next node, or the number of the group. */
type Node = Map<number, Node | number>;
