/** `triggers`: what fires, what would have fired, and silence. */
import type { Command } from 'commander';
import { type TriggerState, type TriggerTest, toJson } from '../../client/index.ts';
import {
  type ConnectionOptions,
  collect,
  connect,
  IMPATIENT,
  serverCommand,
  wholeNumber,
} from '../connect.ts';
import { type Io, UsageError } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

const TEST_EXAMPLE = '$ millrace triggers test too_many_alarms --from -30d';
const MUTE_EXAMPLE = `$ millrace triggers mute too_many_alarms --until +2h --group station=north
$ millrace triggers mute too_many_alarms --until now`;

export function triggersCommand(io: Io): Command {
  const triggers = serverCommand('triggers', 'triggers of the tenant: list, state, test, mute', TEST_EXAMPLE);
  triggers.addCommand(
    serverCommand('list', 'each trigger, and how many groups of it fire', '$ millrace triggers list').action(
      async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const { client } = connect(io, options, IMPATIENT);
        const states: TriggerState[] = [];
        for (const { name } of await client.triggers.list())
          states.push(await client.triggers.state(name, { limit: 1 }));
        if (options.json) return void io.stdout.write(`${toJson(states)}\n`);
        if (states.length === 0) return void io.stdout.write('There are no triggers.\n');
        const rows = states.map((one) => [
          ...[one.name, String(one.firing), String(one.pending), one.at, one.muted_until, one.error],
        ]);
        io.stdout.write(
          textTable(['trigger', 'firing', 'pending', 'looked at', 'muted until', 'error'], rows),
        );
      },
    ),
  );
  triggers.addCommand(
    serverCommand('state', 'the groups of a trigger', '$ millrace triggers state too_many_alarms')
      .argument('<name>', 'the trigger')
      .option('--limit <n>', 'groups to show, 1 to 10000', wholeNumber)
      .action(async (name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options & { readonly limit?: number }>();
        const { client } = connect(io, options, IMPATIENT);
        tell(io, options, await client.triggers.state(name, { limit: options.limit }));
      }),
  );
  triggers.addCommand(
    serverCommand('test', 'when it would have fired, by what is stored', TEST_EXAMPLE)
      .argument('<name>', 'the trigger')
      .requiredOption('--from <time>', 'RFC 3339, or from now: -30d')
      .option('--to <time>', 'default: now')
      .action(async (name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options & { readonly from: string; readonly to?: string }>();
        const { client } = connect(io, options);
        const tested = await client.triggers.test(name, { from: options.from, to: options.to });
        io.stdout.write(options.json ? `${toJson(tested)}\n` : testText(tested));
      }),
  );
  triggers.addCommand(
    serverCommand('mute', 'keep a trigger, or one group of it, from firing for a while', MUTE_EXAMPLE)
      .argument('<name>', 'the trigger')
      .requiredOption('--until <time>', 'RFC 3339, or from now: +2h; now: no longer')
      .option('--group <field=value>', 'only this group; once for each of its fields', collect)
      .action(async (name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<
          Options & { readonly until: string; readonly group?: readonly string[] }
        >();
        const { client } = connect(io, options, IMPATIENT);
        const group = options.group && Object.fromEntries(options.group.map(fieldAndValue));
        tell(io, options, await client.triggers.mute(name, { until: options.until, group }));
      }),
  );
  return triggers;
}

function fieldAndValue(text: string): readonly [string, string] {
  const [, field, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (field === undefined || value === undefined)
    throw new UsageError(`"${text}" is no value of a field; write FIELD=VALUE: station=north`);
  return [field, value];
}

function tell(io: Io, { json }: Options, state: TriggerState): void {
  if (json) return void io.stdout.write(`${toJson(state)}\n`);
  const { name, firing, pending, at, error } = state;
  const mute = state.muted_until === null ? '' : `, muted until ${state.muted_until}`;
  io.stdout.write(`${name}: ${firing} firing, ${pending} pending${mute}; looked at ${at ?? 'nothing yet'}\n`);
  if (error !== null) io.stdout.write(`The last evaluation failed: ${error}\n`);
  if (state.groups.length === 0) return;
  const rows = state.groups.map((one) => [
    ...[groupText(one.group), one.state, one.since, one.value === null ? null : String(one.value)],
    one.muted_until,
  ]);
  io.stdout.write(textTable(['group', 'state', 'since', 'value', 'muted until'], rows));
}

function testText({ from, to, observations, firings, cut }: TriggerTest): string {
  const many = firings.length === 1 ? 'once' : `${firings.length} times`;
  const head = `From ${from} to ${to} it would have fired ${many}${cut ? ', and more often' : ''} (${observations} numbers).\n`;
  if (firings.length === 0) return head;
  const rows = firings.map((one) => [
    ...[groupText(one.group), one.fired_at, one.resolved_at ?? 'still'],
    one.value === null ? null : String(one.value),
  ]);
  return head + textTable(['group', 'fired', 'resolved', 'value'], rows);
}

const groupText = (group: TriggerState['groups'][number]['group']): string =>
  Object.entries(group)
    .map(([field, value]) => `${field}=${String(value)}`)
    .join(', ') || 'all';
