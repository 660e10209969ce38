/**
 * The order in which the changes of a project can be made. What stands on a definition and does not go along with its change is in
 * the way, unless the project changes that, too, and can do so before.
 */
import type { TenantId } from '../base/brand.ts';
import { type Known, resultFields, toDocument } from '../define/index.ts';
import type { DefinitionKind, ObjectDefinition, Reference, StreamDefinition } from '../define/model.ts';
import { hindranceOf, refusalOf } from './hindrances.ts';
import { type CatalogOfObjects, dependentsOf, knownTo } from './objects.ts';
import type { Change } from './port.ts';

interface Planned {
  /** In the order in which kinds need each other. */
  readonly changes: readonly Change[];
  /** What stands when all of them are made. */
  readonly known: Known;
  /** The objects of the project. */
  readonly objects: ReadonlyMap<string, ObjectDefinition>;
}

export const keyOf = ({ kind, name }: Reference): string => JSON.stringify([kind, name]);

/** Those that something is in the way of are refused. */
export function inOrder(
  catalog: CatalogOfObjects,
  tenant: TenantId,
  { changes, known, objects }: Planned,
): readonly Change[] {
  const before = new Map<string, readonly string[]>();
  const checked = changes.map((change): Change => {
    if (change.action !== 'change' || change.kind === 'rollup') return change;
    const standing = knownTo(catalog, tenant);
    const asItStands = allBut(known, standing, change);
    const reasons: string[] = [];
    const first: string[] = [];
    for (const { of, previous, next } of shiftsOf(change, standing, known)) {
      for (const user of dependentsOf(catalog, tenant, of)) {
        const reason = hindranceOf(user, previous, next, known);
        if (reason === undefined) continue;
        const own = objects.get(keyOf(user.definition));
        const will = own && { definition: own, document: toDocument(own) };
        if (!will || hindranceOf(will, previous, next, known) !== undefined) reasons.push(reason);
        else if (hindranceOf(will, previous, previous, asItStands) !== undefined)
          reasons.push(`${reason}, and what the project makes of it needs the change: take two steps`);
        else first.push(keyOf(will.definition));
      }
    }
    if (reasons.length > 0) return { ...change, action: 'refused', effects: [], reason: refusalOf(reasons) };
    if (first.length > 0) before.set(keyOf(change), first);
    return change;
  });
  // What goes first may stand on streams that nothing is in the way of.
  const waits = (one: Change) => one.kind !== 'stream' || before.has(keyOf(one));
  return behind([...checked.filter((one) => !waits(one)), ...checked.filter(waits)], before);
}

/** Each change behind those that are named for it, else as they were. */
function behind(
  changes: readonly Change[],
  before: ReadonlyMap<string, readonly string[]>,
): readonly Change[] {
  const left = new Map(changes.map((change) => [keyOf(change), change]));
  const ordered: Change[] = [];
  const take = (key: string): void => {
    const change = left.get(key);
    if (!change || !left.delete(key)) return;
    for (const one of before.get(key) ?? []) take(one);
    ordered.push(change);
  };
  for (const change of changes) take(keyOf(change));
  return ordered;
}

interface Shift {
  readonly of: Reference;
  readonly previous: StreamDefinition | ObjectDefinition;
  readonly next: StreamDefinition | ObjectDefinition;
}

/** What becomes another by a change: with a window the stream of its results. */
function shiftsOf({ kind, name }: Change, standing: Known, known: Known): readonly Shift[] {
  const [previous, next] = [definitionOf(standing, kind, name), definitionOf(known, kind, name)];
  if (!previous || !next) return [];
  const own = { of: { kind, name }, previous, next };
  const results = kind === 'window' ? standing.stream(name) : undefined;
  if (previous.kind !== 'window' || next.kind !== 'window' || !results) return [own];
  const kept = new Set(resultFields(next));
  const gone = new Set(resultFields(previous).filter((field) => !kept.has(field)));
  const fields = results.fields.map((field) =>
    gone.has(field.name) ? { ...field, optional: true, retired: true as const } : field,
  );
  return [own, { of: { kind: 'stream', name }, previous: results, next: { ...results, fields } }];
}

const definitionOf = (
  from: Known,
  kind: DefinitionKind,
  name: string,
): StreamDefinition | ObjectDefinition | undefined => {
  if (kind === 'stream') return from.stream(name);
  return kind === 'rollup' ? undefined : from.object(kind, name);
};

/** What stands when all is changed but one definition. */
const allBut = (known: Known, standing: Known, { kind, name }: Reference): Known => ({
  ...known,
  stream: (one) => (kind === 'stream' && one === name ? standing : known).stream(one),
  object: (of, one) => (of === kind && one === name ? standing : known).object(of, one),
});
