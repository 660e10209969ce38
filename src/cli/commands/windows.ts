/** `windows`: those that there are and how far they have come, and what they told. */
import type { Command } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

interface ListOptions extends ConnectionOptions {
  readonly json?: true;
}
interface ResultsOptions extends ListOptions {
  readonly from?: string;
  readonly to?: string;
  readonly where?: readonly string[];
  readonly all?: true;
  readonly open?: true;
  readonly limit: number;
}

interface State {
  readonly closed_to: string | null;
  readonly watermark: string | null;
  readonly published: Readonly<Record<string, number>>;
  readonly failure: string | null;
}
type Result = Readonly<Record<string, unknown>>;

/** Told in columns of their own, or of no use to people. */
const HIDDEN = new Set(['window_key', 'watermark', 'step', '_id', '_time', '_received']);

export function windowsCommand(io: Io): Command {
  const windows = serverCommand(
    'windows',
    'windows: how far they have come, and what they told',
    '$ millrace windows list\n$ millrace windows results alarms --from -1h',
  );
  windows.addCommand(
    serverCommand('list', 'every window and how far it has come', '$ millrace windows list').action(
      async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<ListOptions>();
        const { client } = connect(io, options, IMPATIENT);
        const found = (await client.request('GET', '/v1/windows')) as {
          readonly windows: readonly {
            readonly name: string;
            readonly document: { readonly from: string };
          }[];
        };
        const told = [];
        for (const { name, document } of found.windows) {
          const path = `/v1/windows/${encodeURIComponent(name)}/state`;
          told.push({ name, from: document.from, state: (await client.request('GET', path)) as State });
        }
        if (options.json) io.stdout.write(`${toJson(told)}\n`);
        else if (told.length === 0) io.stdout.write('There are no windows.\n');
        else
          io.stdout.write(
            textTable(
              ['window', 'from', 'told to', 'final', 'corrected', 'failure'],
              told.map(({ name, from, state: { closed_to, published, failure } }) => [
                ...[name, from, closed_to ?? '-'],
                ...[String(published.final ?? 0), String(published.corrected ?? 0), failure ?? ''],
              ]),
            ),
          );
      },
    ),
  );
  windows.addCommand(
    serverCommand(
      'results',
      'what a window told, newest first',
      '$ millrace windows results alarms --from -1h',
    )
      .argument('<window>', 'the window')
      .option('--from <time>', 'windows that begin from then on')
      .option('--to <time>', 'windows that begin before')
      .option('--where <condition...>', 'field:op:value')
      .option('--all', 'every version, not the newest alone')
      .option('--open', 'windows that are still open, too')
      .option('--limit <rows>', 'at most so many', wholeNumber, 20)
      .action(async (window: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<ResultsOptions>();
        const asked = new URLSearchParams({ limit: String(options.limit) });
        if (options.from !== undefined) asked.set('from', options.from);
        if (options.to !== undefined) asked.set('to', options.to);
        for (const condition of options.where ?? []) asked.append('where', condition);
        if (options.all) asked.set('versions', 'all');
        if (options.open) asked.set('open', 'true');
        const path = `/v1/windows/${encodeURIComponent(window)}/results?${asked}`;
        const page = (await connect(io, options, IMPATIENT).client.request('GET', path)) as {
          readonly results: readonly Result[];
          readonly open?: readonly Result[];
        };
        if (options.json) {
          io.stdout.write(`${toJson(page)}\n`);
          return;
        }
        const rows = [...(page.open ?? []), ...page.results];
        if (rows.length === 0) {
          io.stdout.write('Nothing is there.\n');
          return;
        }
        const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
          (name) => !HIDDEN.has(name),
        );
        io.stdout.write(
          textTable(
            columns,
            rows.map((row) => columns.map((name) => textOf(row[name]))),
          ),
        );
      }),
  );
  return windows;
}

const textOf = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? toJson(value) : String(value);
