import type { Command } from 'commander';
import { readSettings } from '../../config.ts';
import { loadProject } from '../../define/load.ts';
import { type ConnectionOptions, connect, serverCommand } from '../connect.ts';
import { type Check, localChecks, serverChecks } from '../doctor-checks.ts';
import { Failure, type Io } from '../io.ts';

const SIGNS: Readonly<Record<Check['state'], string>> = { ok: '✓', warning: '!', failed: '✗' };

export function doctorCommand(io: Io): Command {
  return serverCommand('doctor', 'what is wrong here, and what to do about it', '$ millrace doctor')
    .option('--data <dir>', 'data directory (env MILLRACE_DATA)')
    .option('--port <port>', 'port of the server to be (env MILLRACE_PORT)')
    .action(
      async (
        options: ConnectionOptions & { readonly json?: true; readonly data?: string; readonly port?: string },
      ) => {
        const project = await loadProject(io.cwd).catch(() => undefined);
        const flags = { MILLRACE_DATA: options.data, MILLRACE_PORT: options.port };
        const settings = readSettings(io.environment, flags, project?.settings ?? {});
        const connection = connect(io, options, { attemptsMax: 1 });
        const server = await serverChecks(io, connection);
        const running = server[0]?.state === 'ok';
        const checks = [...(await localChecks(io, settings, running)), ...server];
        if (options.json) io.stdout.write(`${JSON.stringify(checks)}\n`);
        else {
          for (const check of checks) {
            io.stdout.write(`${SIGNS[check.state]} ${check.name}: ${check.found}\n`);
            if (check.advice !== undefined) io.stdout.write(`    ${check.advice}\n`);
          }
        }
        const failed = checks.filter((check) => check.state === 'failed').length;
        if (failed > 0) throw new Failure(`${failed} of ${checks.length} checks failed.`);
      },
    );
}
