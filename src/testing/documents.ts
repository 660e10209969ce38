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

/** The failure of asking for something that the project does not have, naming what it has; undefined when it has it. */
export function notOfProject(
  documents: ProjectDocuments,
  kind: keyof ProjectDocuments,
  name: string,
): string | undefined {
  if (Object.hasOwn(documents[kind], name)) return undefined;
  const names = Object.keys(documents[kind]);
  const there = names.length === 0 ? `it has no ${kind}` : `its ${kind} are ${names.join(', ')}`;
  return `the project under test has no ${kind.slice(0, -1)} "${name}"; ${there}`;
}
