import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { plainCommand } from '../connect.ts';
import { Failure, type Io } from '../io.ts';
import { starterFiles } from '../starter.ts';

export function initCommand(io: Io): Command {
  return plainCommand(
    'init',
    'write a commented starter project',
    '$ millrace init shop && cd shop && millrace start',
  )
    .argument('[dir]', 'directory to write to', '.')
    .action(async (directory: string, options: { readonly json?: true }) => {
      const target = resolve(io.cwd, directory);
      await mkdir(target, { recursive: true });
      const files = starterFiles(io.clock.now());
      const there = new Set(await readdir(target));
      const taken = [...files.keys()].filter((name) => there.has(name));
      if (taken.length > 0)
        throw new Failure(`${taken.join(', ')} is there already in ${target}; nothing was written.`);
      // `wx`: never over a file that came in the meantime.
      for (const [name, text] of files) await writeFile(join(target, name), text, { flag: 'wx' });
      if (options.json)
        io.stdout.write(`${JSON.stringify({ directory: target, files: [...files.keys()] })}\n`);
      else {
        io.stdout.write(`Wrote ${[...files.keys()].join(', ')} to ${target}.\n`);
        io.stdout.write(`Next: ${directory === '.' ? '' : `cd ${directory} && `}millrace start\n`);
      }
    });
}
