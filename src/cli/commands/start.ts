import { resolve } from 'node:path';
import type { Command } from 'commander';
import { computeFirst } from '../../base/first-thread.ts';
import { readSettings, SETTING_DEFAULTS, type SettingName } from '../../config.ts';
import { loadProject } from '../../define/load.ts';
import type { Millrace } from '../../millrace.ts';
import { plainCommand } from '../connect.ts';
import { Failure, type Io } from '../io.ts';

const CLOSE_MS_MAX = 10_000;
const NAMES = Object.keys(SETTING_DEFAULTS) as SettingName[];

/** `MILLRACE_ADMIN_KEY` → `admin-key` */
const flagOf = (setting: string): string =>
  setting.slice('MILLRACE_'.length).toLowerCase().replaceAll('_', '-');
/** `admin-key` → `adminKey`, as the parser of flags has it. */
const keyOf = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

export function startCommand(io: Io): Command {
  const example = `$ millrace start --port 7071 --data /var/lib/millrace
$ MILLRACE_ADMIN_KEY=… millrace start`;
  const command = plainCommand('start', 'the server, with the project in this directory', example);
  for (const name of NAMES) {
    const standard = SETTING_DEFAULTS[name];
    command.option(
      `--${flagOf(name)} <value>`,
      `setting ${name}${standard === undefined ? '' : ` (default ${standard})`}`,
    );
  }
  return command.action(async (options: Readonly<Record<string, string>> & { readonly json?: true }) => {
    const project = await loadProject(io.cwd);
    const flags = Object.fromEntries(NAMES.map((name) => [name, options[keyOf(flagOf(name))]]));
    const configured = readSettings(io.environment, flags, project.settings);
    const settings = { ...configured, MILLRACE_DATA: resolve(io.cwd, configured.MILLRACE_DATA) };
    const { startMillrace } = await import('../../millrace.ts');
    const server = await startMillrace({ settings, documents: project.documents });
    // Not before: threads that are made at the start would have it, too.
    const computeLikeOthers = computeFirst();
    // Whoever reads that it is ready may stop it at once.
    const end = stopped(io, server);
    const key = server.adminKey;
    if (options.json) {
      io.stdout.write(
        `${JSON.stringify({ url: server.url, ...(key === undefined ? {} : { adminKey: key }) })}\n`,
      );
    } else {
      io.stdout.write(`Millrace is ready at ${server.url}\n`);
      if (key !== undefined) io.stdout.write(`Key (shown only now; keep it): ${key}\n`);
    }
    await end.finally(computeLikeOthers);
  });
}

/**
 * Resolves when the server has ended after a signal. A second signal, or ten seconds, cut it short. Rejects when it has
 * ended because another process took over its data directory.
 */
function stopped(io: Io, { close, lost }: Pick<Millrace, 'close' | 'lost'>): Promise<void> {
  return new Promise((resolve, reject) => {
    let signals = 0;
    const ended = new AbortController();
    const end = (then: () => void): void => {
      if (ended.signal.aborted) return;
      ended.abort();
      forget();
      lost.removeEventListener('abort', takenOver);
      then();
    };
    const cut = (words: string) =>
      end(() =>
        reject(
          new Failure(`${words}; what was accepted is in the log and will be applied at the next start.`),
        ),
      );
    const stop = (then: () => void): void => {
      void io.clock.sleep(CLOSE_MS_MAX, ended.signal).then(() => cut('stopping took too long'));
      close().then(
        () => end(then),
        (error: unknown) => end(() => reject(error)),
      );
    };
    const takenOver = (): void => {
      signals += 1;
      if (signals === 1) stop(() => reject(lost.reason));
    };
    const forget = io.onSignal(() => {
      signals += 1;
      if (signals > 1) return cut('stopped at the second signal');
      stop(resolve);
    });
    if (lost.aborted) takenOver();
    else lost.addEventListener('abort', takenOver);
  });
}
