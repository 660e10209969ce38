/** `plan` and `apply`: from the definitions of a project to those of a server. */
import type { Command } from 'commander';
import {
  type Change,
  type MillraceClient,
  MillraceRequestError,
  type Project,
  type RunInfo,
} from '../../client/index.ts';
import { pluralOf } from '../../define/index.ts';
import { loadProject } from '../../define/load.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { Failure, Interrupted, type Io, untilSignal } from '../io.ts';
import { progressText } from './runs.ts';

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
    .option('--no-wait', 'do not wait for what is built from stored events')
    .action(async (options: Options & { readonly yes?: true; readonly wait: boolean }) => {
      const { client } = connect(io, options, IMPATIENT);
      const project = await projectOf(io, options);
      const changes = await client.plan(project);
      if (!options.json) io.stdout.write(planText(changes));
      failIfRefused(changes);
      const open = changes.filter((change) => change.action === 'create' || change.action === 'change');
      if (open.length > 0 && !options.yes && !(await agreed(io))) throw new Failure('nothing was changed.');
      const done: object[] = [];
      // In the order of the plan: each comes behind what it needs.
      for (const change of open) {
        const { kind, name } = change;
        const put = await putChange(client, project, change);
        done.push(put);
        const run = put.run === undefined ? undefined : await client.run(put.run);
        if (run && options.wait) await seeBuilt(io, options, client, change, run);
        else if (run && run.ended_at === null && !options.json) {
          io.stdout.write(`… ${kind} ${name} is being built; millrace runs show ${run.id}\n`);
          continue;
        }
        if (!options.json) io.stdout.write(`✓ ${kind} ${name}\n`);
      }
      if (options.json) io.stdout.write(`${JSON.stringify({ changes, applied: done })}\n`);
    });
}

interface Applied {
  readonly kind: Change['kind'];
  readonly name: string;
  readonly version: number | undefined;
  readonly run?: string;
}

const LOOK_MS = 500;

/** Follows a build to its end. */
async function seeBuilt(
  io: Io,
  options: Options,
  client: MillraceClient,
  { kind, name }: Change,
  begun: RunInfo,
): Promise<void> {
  let run = begun;
  const shows = !options.json && io.stderr.isTTY === true;
  await untilSignal(io, async (signal) => {
    while (run.ended_at === null) {
      if (shows) io.stderr.write(`\r\x1b[K  ${kind} ${name}: ${progressText(run)}`);
      await io.clock.sleep(LOOK_MS, signal);
      signal.throwIfAborted();
      run = await client.run(run.id);
    }
  }).catch((error: unknown) => {
    if (!(error instanceof Interrupted)) throw error;
    throw new Failure(
      `${kind} ${name} goes on being built; millrace runs show ${run.id}, millrace runs cancel ${run.id}.`,
    );
  });
  if (shows) io.stderr.write('\r\x1b[K');
  if (run.state === 'done') return;
  throw new Failure(
    `${kind} ${name} was not built: ${run.error ?? 'it was cancelled'}. What stood before still stands.`,
  );
}

/** Under the version that stands: what somebody else changes meanwhile is not overwritten. */
async function putChange(
  client: MillraceClient,
  project: Project,
  { kind, name, action }: Change,
): Promise<Applied> {
  const document = project[pluralOf(kind)][name] as object;
  const ifVersion = action === 'create' ? 0 : await client.version(kind, name);
  try {
    const made = await client.put(kind, name, document, { ifVersion });
    return { kind, name, version: made.version, ...(made.run === undefined ? {} : { run: made.run }) };
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
