/** The documents of a project under test, however its definitions are handed over. */
import {
  DEFINITION_KINDS,
  emptyProject,
  type ObjectDefinition,
  type ProjectConfig,
  type ProjectDocuments,
  pluralOf,
  type RollupDefinition,
  type StreamDefinition,
  toDocument,
} from '../define/index.ts';

export type AnyDefinition = StreamDefinition | RollupDefinition | ObjectDefinition;

/**
 * Definitions: by themselves in a list, by kind (`{streams: [clicks], windows: [perMinute]}`), in a `defineConfig`, or a
 * module that exports any of these (`import * as project from '../millrace.config.ts'`).
 */
export type ProjectUnderTest =
  | AnyDefinition
  | ProjectConfig
  | readonly unknown[]
  | Readonly<Record<string, unknown>>;

/** What is no definition, such as a helper that the module exports too, is left alone. */
export function documentsOf(project: ProjectUnderTest): ProjectDocuments {
  const documents = emptyProject();
  gather(project, documents, 0);
  return documents;
}

const DEPTH_MAX = 4;

function gather(value: unknown, into: ProjectDocuments, depth: number): void {
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return;
  const { kind, name } = value as { readonly kind?: unknown; readonly name?: unknown };
  if (typeof name === 'string' && DEFINITION_KINDS.some((one) => one === kind)) {
    const definition = value as AnyDefinition;
    into[pluralOf(definition.kind)][definition.name] = toDocument(definition);
    return;
  }
  const inner = kind === 'config' ? (value as ProjectConfig).definitions : value;
  for (const one of Object.values(inner)) gather(one, into, depth + 1);
}
