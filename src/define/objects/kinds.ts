/**
 * Definitions that stand on streams and rollups: dimension tables, windows, reports, triggers. Each kind says in one
 * file what its document looks like, how it is read and written, and what it stands on.
 */
import type { z } from 'zod';
import type { RollupDefinition, StreamDefinition } from '../model.ts';
import { type ReportDefinition, reportKind } from './report.ts';
import { type TableDefinition, tableKind } from './table.ts';
import { type TriggerDefinition, triggerKind } from './trigger.ts';
import { type WindowDefinition, windowKind } from './window.ts';

export interface ObjectKinds {
  readonly table: TableDefinition;
  readonly window: WindowDefinition;
  readonly report: ReportDefinition;
  readonly trigger: TriggerDefinition;
}
export type ObjectKind = keyof ObjectKinds;
export type ObjectDefinition = ObjectKinds[ObjectKind];
export type DefinitionKind = 'stream' | 'rollup' | ObjectKind;

/** Something that a definition names: it must be there first, and cannot be removed before. */
export interface Reference {
  readonly kind: DefinitionKind;
  readonly name: string;
}

/** What stands already, for definitions that name it. */
export interface Known {
  stream(name: string): StreamDefinition | undefined;
  rollup(name: string): RollupDefinition | undefined;
  object<K extends ObjectKind>(kind: K, name: string): ObjectKinds[K] | undefined;
}

export interface KindOf<D> {
  readonly schema: z.ZodObject;
  /** Fails with `bad-definition`, whose `issues` hold every mistake at once. */
  parse(name: string, document: unknown, known: Known): D;
  /** Canonical: `parse(d.name, toDocument(d), known)` equals `d`. */
  toDocument(definition: D): Readonly<Record<string, unknown>>;
  references(definition: D): readonly Reference[];
}

/** In the order in which they need each other. */
export const OBJECT_KINDS: { readonly [K in ObjectKind]: KindOf<ObjectKinds[K]> } = {
  table: tableKind,
  window: windowKind,
  report: reportKind,
  trigger: triggerKind,
};
export const OBJECT_KIND_NAMES = Object.keys(OBJECT_KINDS) as readonly ObjectKind[];

export const isObjectKind = (kind: string): kind is ObjectKind => Object.hasOwn(OBJECT_KINDS, kind);

const kindOf = <K extends ObjectKind>(kind: K): KindOf<ObjectKinds[K]> => OBJECT_KINDS[kind];

/** Reads the JSON document of an object. Fails with `bad-definition`, whose `issues` hold every mistake at once. */
export const parseObject = <K extends ObjectKind>(
  kind: K,
  name: string,
  document: unknown,
  known: Known,
): ObjectKinds[K] => kindOf(kind).parse(name, document, known);

export const objectToDocument = (definition: ObjectDefinition): Readonly<Record<string, unknown>> =>
  (kindOf(definition.kind) as KindOf<ObjectDefinition>).toDocument(definition);

export const referencesOf = (definition: ObjectDefinition): readonly Reference[] =>
  (kindOf(definition.kind) as KindOf<ObjectDefinition>).references(definition);
