/** The documents of one project, by kind and name, as in `PUT /v1/streams/{name}`. */
import type { DefinitionKind } from './objects/kinds.ts';

export type KindPlural = `${DefinitionKind}s`;
export type ProjectDocuments = Readonly<Record<KindPlural, Record<string, unknown>>>;

export const pluralOf = <K extends DefinitionKind>(kind: K): `${K}s` => `${kind}s`;

/** In the order in which definitions need each other. */
export const DEFINITION_KINDS = [
  'stream',
  'rollup',
  'table',
  'window',
  'report',
  'trigger',
] as const satisfies readonly DefinitionKind[];

/** A project without definitions; what is given stands in it. */
export function emptyProject(given: Partial<ProjectDocuments> = {}): ProjectDocuments {
  const empty = DEFINITION_KINDS.map((kind) => [pluralOf(kind), { ...given[pluralOf(kind)] }]);
  return Object.fromEntries(empty) as ProjectDocuments;
}
