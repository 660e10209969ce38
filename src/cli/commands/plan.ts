/** `plan` and `apply`: from the definitions of a project to those of a server. */
import type { Command } from 'commander';
import { type Change, type MillraceClient, MillraceRequestError, type Project } from '../../client/index.ts';
import { loadProject } from '../../define/load.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { Failure, type Io } from '../io.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly project?: string;
}

const PROJECT = ['-p, --project <dir>', 'directory of millrace.config.ts (default: here)'] as const;

export function planCommand(io: Io): Command {
  return serverCommand('plan', 'what apply would do; changes nothing', '$ millrace plan')
    .option(...PROJECT)
    .action(async (options: Options) => {
      const { client } = connect(io, options, IMPATIENT);
      const changes = await client.plan(await projectOf(io, options));
      if (options.json) io.stdout.write(`${JSON.stringify(changes)}\n`);
      else io.stdout.write(planText(changes));
      failIfRefused(changes);
    });
}

export function applyCommand(io: Io): Command {
  const example = `$ millrace apply --yes`;
  return serverCommand('apply', 'bring the server to the definitions of the project', example)
    .option(...PROJECT)
    .option('-y, --yes', 'do not ask')
    .action(async (options: Options & { readonly yes?: true }) => {
      const { client } = connect(io, options, IMPATIENT);
      const project = await projectOf(io, options);
      const changes = await client.plan(project);
      if (!options.json) io.stdout.write(planText(changes));
      failIfRefused(changes);
      const open = changes.filter((change) => change.action === 'create' || change.action === 'change');
      if (open.length > 0 && !options.yes && !(await agreed(io))) throw new Failure('nothing was changed.');
      const done: object[] = [];
      // Rollups need their streams.
      for (const kind of ['stream', 'rollup'] as const) {
        for (const change of open.filter((one) => one.kind === kind)) {
          done.push(await put(client, project, change));
          if (!options.json) io.stdout.write(`✓ ${kind} ${change.name}\n`);
        }
      }
      if (options.json) io.stdout.write(`${JSON.stringify({ changes, applied: done })}\n`);
    });
}

/** Under the version that stands: what somebody else changes meanwhile is not overwritten. */
async function put(
  client: MillraceClient,
  project: Project,
  { kind, name, action }: Change,
): Promise<object> {
  const documents = kind === 'stream' ? project.streams : project.rollups;
  const document = documents[name] as object;
  const ifVersion = action === 'create' ? 0 : await client.version(kind, name);
  try {
    const made =
      kind === 'stream'
        ? await client.putStream(name, document, { ifVersion })
        : await client.putRollup(name, document, { ifVersion });
    return { kind, name, version: made.version };
  } catch (error) {
    if (error instanceof MillraceRequestError && error.status === 412)
      throw new Failure(
        `${kind} ${name} was changed by somebody else just now; look at millrace plan again.`,
      );
    throw error;
  }
}

async function projectOf(io: Io, options: Options): Promise<Project> {
  const directory = options.project ?? io.cwd;
  const { documents, file } = await loadProject(directory);
  if (file === undefined)
    throw new Failure(`there is no millrace.config.ts in ${directory}; millrace init writes one.`);
  return documents;
}

const SIGNS: Readonly<Record<Change['action'], string>> = {
  create: '+',
  change: '~',
  none: ' ',
  refused: '✗',
};

function planText(changes: readonly Change[]): string {
  if (changes.every((change) => change.action === 'none'))
    return 'Nothing to do: the server has these definitions.\n';
  return changes
    .filter((change) => change.action !== 'none')
    .map((change) => {
      const lines = [...change.effects, ...(change.reason === undefined ? [] : [change.reason])];
      return `${SIGNS[change.action]} ${change.kind} ${change.name}\n${lines.map((line) => `    ${line}\n`).join('')}`;
    })
    .join('');
}

function failIfRefused(changes: readonly Change[]): void {
  const refused = changes.filter((change) => change.action === 'refused');
  if (refused.length > 0)
    throw new Failure(
      `${refused.map((change) => change.name).join(', ')} cannot be changed like that; nothing was done.`,
    );
}

async function agreed(io: Io): Promise<boolean> {
  if (!io.stderr.isTTY) throw new Failure('nobody is there to ask; say --yes to apply.');
  io.stderr.write('Apply? [y/N] ');
  for await (const chunk of io.stdin) return /^y(es)?\s*$/i.test(String(chunk));
  return false;
}
