/**
 * Tables, windows, reports and triggers: definitions that stand on others. Their stages say with hooks what has to be made
 * and removed with them; the journal carries a removal to its end after a crash.
 *
 *   put:     prepare ─▶ catalog ─▶ stands        remove:  journal ─▶ catalog ─▶ removed ─▶ journal
 */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog, Versioned } from '../catalog/port.ts';
import { OBJECT_KIND_NAMES, parseObject, referencesOf, toDocument } from '../define/index.ts';
import type {
  DefinitionKind,
  ObjectDefinition,
  ObjectKind,
  ObjectKinds,
  Reference,
  StreamDefinition,
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

/** Fails with `conflict` when something that stands on it would not fit it any more. */
export function refuseUnlessOthersFit(
  catalog: CatalogOfObjects,
  tenant: TenantId,
  next: StreamDefinition | ObjectDefinition,
): void {
  const known = knownTo(catalog, tenant, next);
  for (const { definition, document } of dependentsOf(catalog, tenant, next)) {
    try {
      parseObject(definition.kind, definition.name, document, known);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      throw new MillraceError(
        'conflict',
        `${nameOf(next)} cannot change like this: ${nameOf(definition)} stands on it, and would not fit (${error.message})`,
      );
    }
  }
}

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
