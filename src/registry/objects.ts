/**
 * Tables, windows, reports and triggers: definitions that stand on others. Their stages say with hooks what has to be made
 * and removed with them; the journal carries a removal to its end after a crash.
 *
 *   put:     prepare ─▶ catalog ─▶ stands        remove:  journal ─▶ catalog ─▶ removed ─▶ journal
 */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog, Versioned } from '../catalog/port.ts';
import { type Known, OBJECT_KIND_NAMES, referencesOf, toDocument } from '../define/index.ts';
import {
  type DefinitionKind,
  type ObjectDefinition,
  type ObjectKind,
  type ObjectKinds,
  type Reference,
  readsOf,
  type StreamDefinition,
} from '../define/model.ts';
import type { Change } from './port.ts';

/** What a stage does with the definitions of its kind. Every call may be repeated after a crash or a failure. */
export interface ObjectHooks<D extends ObjectDefinition> {
  /** What must be there before the definition stands; rejects with `conflict` or `bad-definition` to refuse it. */
  prepare?(tenant: TenantId, next: D, previous: D | undefined): Promise<void>;
  /** It stands from now on. */
  stands?(tenant: TenantId, standing: Versioned<D>): Promise<void>;
  /** It is about to go; rejects with `conflict` to refuse that. */
  leaving?(tenant: TenantId, definition: D): Promise<void>;
  /** It stands no more: what was its own goes. */
  removed?(tenant: TenantId, definition: D): Promise<void>;
}

export type AllHooks = { readonly [K in ObjectKind]?: ObjectHooks<ObjectKinds[K]> };

/** Definitions of one kind that a tenant may have. */
export const OBJECTS_MAX = 1_000;

export type CatalogOfObjects = Pick<Catalog, 'stream' | 'rollup' | 'object' | 'objects'>;

/** What stands, with `instead` in the place of what it would change. */
export function knownTo(
  catalog: CatalogOfObjects,
  tenant: TenantId,
  instead?: StreamDefinition | ObjectDefinition,
) {
  const isInstead = (kind: DefinitionKind, name: string) => instead?.kind === kind && instead.name === name;
  return {
    stream: (name: string) =>
      isInstead('stream', name) ? (instead as StreamDefinition) : catalog.stream(tenant, name)?.definition,
    rollup: (name: string) => catalog.rollup(tenant, name)?.definition,
    object: <K extends ObjectKind>(kind: K, name: string): ObjectKinds[K] | undefined =>
      isInstead(kind, name) ? (instead as ObjectKinds[K]) : catalog.object(tenant, kind, name)?.definition,
  };
}

/** What stands on it. */
export function dependentsOf(
  catalog: CatalogOfObjects,
  tenant: TenantId,
  of: Reference,
): readonly Versioned<ObjectDefinition>[] {
  return OBJECT_KIND_NAMES.flatMap(
    (kind) => catalog.objects(tenant, kind) as readonly Versioned<ObjectDefinition>[],
  ).filter(({ definition }) =>
    referencesOf(definition).some(({ kind, name }) => kind === of.kind && name === of.name),
  );
}

/** Fails with `conflict` when something stands on it. */
export function refuseWhileNamed(catalog: CatalogOfObjects, tenant: TenantId, of: Reference): void {
  const names = dependentsOf(catalog, tenant, of).map(({ definition }) => nameOf(definition));
  if (names.length === 0) return;
  throw new MillraceError(
    'conflict',
    `${nameOf(of)} is named by ${names.join(', ')}; change or remove that first`,
  );
}

/** What a report will keep from being removed, and what it waits for. */
export function effectsOfReading(next: ObjectDefinition, known: Known): readonly string[] {
  if (next.kind !== 'report') return [];
  const { streams, tables, relations } = readsOf(next, next.parameters);
  const found = new Set(streams.map((name) => nameOf({ kind: 'stream', name })));
  const strangers = new Set<string>();
  for (const name of [...relations, ...tables]) {
    const of = name.replace(/_history$/, '');
    if (known.stream(name)) found.add(nameOf({ kind: 'stream', name }));
    else if (known.rollup(name)) found.add(nameOf({ kind: 'rollup', name }));
    else if (known.object('table', name)) found.add(nameOf({ kind: 'table', name }));
    else if (known.object('table', of)) found.add(nameOf({ kind: 'table', name: of }));
    else if (known.object('window', name) || known.object('trigger', name))
      found.add(nameOf({ kind: 'stream', name }));
    else if (!isOwn(next, name)) strangers.add(JSON.stringify(name));
  }
  return [
    ...(found.size === 0 ? [] : [`reads ${[...found].join(', ')}`]),
    ...(strangers.size === 0
      ? []
      : [`names ${[...strangers].join(', ')}, which is neither stream nor rollup nor table so far`]),
  ];
}

/** A subquery that the question has given the name itself. */
const isOwn = ({ questions }: Extract<ObjectDefinition, { kind: 'report' }>, name: string): boolean =>
  questions.some(
    (one) =>
      'sql' in one &&
      new RegExp(`\\b${name.replaceAll(/\W/g, '\\$&')}[\`"]?\\s+AS\\s*\\(`, 'i').test(one.sql),
  );

/** What putting it would do. */
export function planObject(current: Versioned<ObjectDefinition> | undefined, next: ObjectDefinition): Change {
  const about = { kind: next.kind, name: next.name } as const;
  if (!current) return { ...about, action: 'create', effects: [`makes the ${next.kind}`] };
  const before = current.document;
  const after = toDocument(next);
  if (JSON.stringify(before) === JSON.stringify(after)) return { ...about, action: 'none', effects: [] };
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  );
  const effects = [`changes ${changed.join(', ')}`];
  if (next.kind === 'window')
    effects.push(
      'tells windows that end after the present watermark; results that were told stay as they are, and are not corrected any more',
    );
  return { ...about, action: 'change', effects };
}

export const nameOf = ({ kind, name }: Reference): string => `the ${kind} "${name}"`;
