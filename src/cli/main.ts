/** The command line. Exit codes: 0 done, 1 failed, 2 called wrongly. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { MillraceError } from '../base/errors.ts';
import { MillraceRequestError } from '../client/index.ts';
import { deliveriesCommand } from './commands/deliveries.ts';
import { doctorCommand } from './commands/doctor.ts';
import { initCommand } from './commands/init.ts';
import { keysCommand } from './commands/keys.ts';
import { lateCommand } from './commands/late.ts';
import { ledgerCommand } from './commands/ledger.ts';
import { applyCommand, planCommand } from './commands/plan.ts';
import { quarantineCommand } from './commands/quarantine.ts';
import { reconcileCommand } from './commands/reconcile.ts';
import { replayCommand } from './commands/replay.ts';
import { reportsCommand } from './commands/reports.ts';
import { runsCommand } from './commands/runs.ts';
import { sendCommand } from './commands/send.ts';
import { sqlCommand } from './commands/sql.ts';
import { startCommand } from './commands/start.ts';
import { statsCommand } from './commands/stats.ts';
import { streamsCommand } from './commands/streams.ts';
import { tablesCommand } from './commands/tables.ts';
import { tailCommand } from './commands/tail.ts';
import { tenantsCommand } from './commands/tenants.ts';
import { triggersCommand } from './commands/triggers.ts';
import { webhooksCommand } from './commands/webhooks.ts';
import { windowsCommand } from './commands/windows.ts';
import { Failure, type Io, systemIo, UsageError } from './io.ts';

export type ExitCode = 0 | 1 | 2;

const COMMANDS = [
  startCommand,
  initCommand,
  planCommand,
  applyCommand,
  sendCommand,
  statsCommand,
  sqlCommand,
  tailCommand,
  streamsCommand,
  tablesCommand,
  ledgerCommand,
  quarantineCommand,
  windowsCommand,
  triggersCommand,
  lateCommand,
  replayCommand,
  reconcileCommand,
  runsCommand,
  reportsCommand,
  tenantsCommand,
  keysCommand,
  webhooksCommand,
  deliveriesCommand,
  doctorCommand,
];

/** Runs one command: `run(['stats', 'orders'], io)`. Never throws. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  const program = new Command('millrace')
    .description('Real-time event analytics: exact numbers within seconds.')
    .version(version())
    .showHelpAfterError('(--help shows what can be said here)');
  for (const make of COMMANDS) program.addCommand(make(io));
  for (const command of everyOf(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    });
  }
  try {
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return 2;
    }
    await program.parseAsync(argv as string[], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    io.stderr.write(`millrace: ${wordsOf(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

const everyOf = (command: Command): Command[] => [command, ...command.commands.flatMap(everyOf)];

function wordsOf(error: unknown): string {
  if (error instanceof MillraceRequestError) {
    const advice =
      error.status === 401 || error.status === 403
        ? ' Say --key, or set MILLRACE_KEY (or MILLRACE_ADMIN_KEY).'
        : '';
    return error.detail + advice + issuesText(error.detail, error.issues);
  }
  if (error instanceof MillraceError) {
    return error.message + issuesText(error.message, error.issues);
  }
  if (error instanceof Failure || error instanceof UsageError) return error.message;
  if (!(error instanceof Error)) return String(error);
  // What the operating system refuses is told in its words (a port in use, a directory that is not ours).
  return 'syscall' in error ? error.message : (error.stack ?? error.message);
}

/** Most details repeat their issues in words; what is not there already is added. */
const issuesText = (
  said: string,
  issues: readonly { readonly path: string; readonly message: string }[],
): string =>
  issues
    .filter((issue) => !said.includes(issue.message))
    .map((issue) => `\n  ${issue.path === '' ? '' : `${issue.path}: `}${issue.message}`)
    .join('');

/** From the source and from `dist` the package lies at different depths. */
function version(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Record<
        string,
        string
      >;
      if (name === 'millrace' && version !== undefined) return version;
    } catch {
      // The other path it is.
    }
  }
  return '0.0.0';
}

/** The process: what `bin/millrace.cjs` calls. */
export async function main(): Promise<void> {
  // Whoever reads the output may leave early: `millrace tail … | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const code = await run(process.argv.slice(2), systemIo());
  process.exitCode = code;
  // The engine's threads, an open standard input or a connection that is kept alive must not hold the process.
  await Promise.all(
    [process.stdout, process.stderr].map((out) => new Promise((done) => out.write('', done))),
  );
  process.exit(code);
}
