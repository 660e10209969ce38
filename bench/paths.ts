/** Where things lie, whether this runs as built (`dist/bench`) or as source (under the test runner). */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = findProject(dirname(fileURLToPath(import.meta.url)));

function findProject(from: string): string {
  for (let directory = from; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory;
    if (directory === dirname(directory)) throw new Error(`there is no package.json above ${from}`);
  }
}

/** The built form of a program that runs in a process of its own: `builtProgram('load')`. */
export function builtProgram(name: string): string {
  const path = join(PROJECT, 'dist', 'bench', `${name}.js`);
  if (!existsSync(path)) throw new Error(`${path} is not there; build first: npm run build`);
  return path;
}
