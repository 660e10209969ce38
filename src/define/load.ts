/** Loads `millrace.config.ts`. Apart from the public face, because it needs the file system. */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { createJiti } from 'jiti';
import { MillraceError } from '../base/errors.ts';
import * as face from './index.ts';
import type { ObjectDefinition, RollupDefinition, StreamDefinition } from './model.ts';
import { DEFINITION_KINDS, emptyProject, type ProjectDocuments, pluralOf } from './project.ts';

const CONFIG_FILES = ['millrace.config.ts', 'millrace.config.js', 'millrace.config.mjs'];

/** What a project says: its settings as text, its definitions as documents by name. */
export interface Project {
  readonly settings: Record<string, string>;
  readonly documents: ProjectDocuments;
  /** Absolute path of the file that was loaded; `undefined` when there is none. */
  readonly file: string | undefined;
}

/**
 * The project in a directory: every definition that its `millrace.config.ts` (or `.js`, `.mjs`) exports, by
 * itself, in an array, or in `defineConfig`, and its settings. Without such a file the project is empty.
 * `import … from 'millrace'` in it means this very package.
 *
 * Fails with `bad-definition`, naming the file, when the file cannot be loaded or has mistakes.
 *
 * @example
 * const { settings, documents } = await loadProject(process.cwd());
 */
export async function loadProject(directory: string): Promise<Project> {
  const file = CONFIG_FILES.map((name) => join(resolve(directory), name)).find((path) => existsSync(path));
  const found = new Found();
  if (file !== undefined) {
    const exported = await importing(file);
    for (const [name, value] of Object.entries(exported)) found.take(name, value);
    found.throwIfAny(basename(file));
  }
  return {
    settings: Object.fromEntries(found.settings),
    documents: found.documents,
    file,
  };
}

async function importing(file: string): Promise<object> {
  const jiti = createJiti(import.meta.url, {
    virtualModules: { millrace: face },
    interopDefault: false,
    // A file that has changed is read again, and nothing is left behind in the project's folder.
    moduleCache: false,
    fsCache: false,
  });
  try {
    return await jiti.import<object>(file);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new MillraceError('bad-definition', `${basename(file)}: ${message}`, {
      cause: error,
      issues: error instanceof MillraceError ? error.issues : [],
    });
  }
}

/** Gathers what a config file exports; a value that is none of ours (a helper, a constant) is left alone. */
class Found {
  readonly settings = new Map<string, string>();
  readonly documents = emptyProject();
  readonly #mistakes: { path: string; message: string }[] = [];

  take(path: string, value: unknown): void {
    if (path === 'settings') this.#takeSettings(path, value);
    else if (Array.isArray(value)) value.forEach((one, index) => void this.take(`${path}.${index}`, one));
    else if (isKind(value, 'config')) {
      const config = value as face.ProjectConfig;
      this.#takeSettings(`${path}.settings`, config.settings);
      this.take(`${path}.definitions`, Object.values(config.definitions));
    } else if (DEFINITION_KINDS.some((kind) => isKind(value, kind)))
      this.#takeDefinition(path, value as StreamDefinition | RollupDefinition | ObjectDefinition);
  }

  throwIfAny(file: string): void {
    if (this.#mistakes.length > 0) throw face.badDefinition(file, this.#mistakes);
  }

  #takeDefinition(path: string, definition: StreamDefinition | RollupDefinition | ObjectDefinition): void {
    const known = this.documents[pluralOf(definition.kind)];
    const document = face.toDocument(definition);
    const other = known[definition.name];
    if (other !== undefined && JSON.stringify(other) !== JSON.stringify(document)) {
      this.#mistakes.push({
        path,
        message: `defines the ${definition.kind} "${definition.name}" a second time, and differently`,
      });
    }
    known[definition.name] = document;
  }

  #takeSettings(path: string, value: unknown): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.#mistakes.push({ path, message: 'must be an object such as { MILLRACE_PORT: 7071 }' });
      return;
    }
    for (const [name, setting] of Object.entries(value)) {
      if (setting === undefined) continue;
      if (!name.startsWith('MILLRACE_')) {
        this.#mistakes.push({
          path: `${path}.${name}`,
          message: 'is not a setting; their names begin with MILLRACE_',
        });
      } else if (!['string', 'number', 'boolean'].includes(typeof setting)) {
        this.#mistakes.push({ path: `${path}.${name}`, message: 'must be text, a number or a boolean' });
      } else this.settings.set(name, String(setting));
    }
  }
}

const isKind = (value: unknown, kind: string): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (value as { kind?: unknown }).kind === kind &&
  (kind === 'config' || typeof (value as { name?: unknown }).name === 'string');
