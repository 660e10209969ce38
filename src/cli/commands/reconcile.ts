/** `reconcile`: are log, tables and rollups as one? Exit code 1 when they are not. */
import type { Command } from 'commander';
import { type MillraceClient, type ReconcileReport, toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { Failure, type Io } from '../io.ts';
import { watchRun } from '../watch-run.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly repair?: true;
  readonly deep?: true;
  readonly rollup?: readonly string[];
  readonly from?: string;
  readonly to?: string;
}

const DIFFERENCES_SHOWN = 20;

export function reconcileCommand(io: Io): Command {
  return serverCommand(
    'reconcile',
    'hold log, tables and rollups against each other; exit code 1 when they differ',
    '$ millrace reconcile\n$ millrace reconcile orders --deep\n$ millrace reconcile orders --repair',
  )
    .argument('[stream]', 'the stream (default: all of them)')
    .option('--repair', 'put right what can be put right')
    .option('--deep', 'also parse the log again and compare every value')
    .option('--rollup <names...>', 'only these rollups')
    .option('--from <time>', 'only records that arrived from then on; ids and rollups are compared whole')
    .option('--to <time>', 'only records that arrived before')
    .action(async (stream: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { client } = connect(io, options, IMPATIENT);
      const reports: ReconcileReport[] = [];
      for (const name of stream === undefined ? await namesOf(client) : [stream]) {
        const { repair, deep, rollup, from, to } = options;
        const started = await client.reconcile(name, { repair, deep, rollups: rollup, from, to }, 0);
        const run = await watchRun(io, client, started);
        const report = run.result as ReconcileReport;
        reports.push(report);
        if (!options.json) io.stdout.write(textOf(report));
      }
      if (options.json) io.stdout.write(`${toJson(stream === undefined ? reports : reports[0])}\n`);
      const wrong = reports.filter(({ balanced }) => !balanced).map((report) => report.stream);
      if (wrong.length === 0) return;
      throw new Failure(
        options.repair
          ? `${wrong.join(', ')}: what is listed could not be repaired.`
          : `${wrong.join(', ')}: log and tables differ; --repair puts right what can be.`,
      );
    });
}

const namesOf = async (client: MillraceClient): Promise<readonly string[]> =>
  (await client.streams()).map(({ name }) => name);

function textOf({ stream, before, after, balanced, repairs }: ReconcileReport): string {
  const { records, rollups, counts, differences, unverifiable, remarks } = after ?? before;
  const lines = [
    `${stream}: ${records} records and ${rollups.length} rollups compared${balanced ? ', no difference' : ''}`,
  ];
  if (after) {
    lines.push(`  before: ${countsText(before.counts)}; after: ${countsText(counts)}`);
    for (const { done, where, words } of repairs)
      lines.push(`  ${done ? 'repaired' : 'NOT repaired'} (${where}): ${words}`);
  } else if (!balanced) lines.push(`  ${countsText(counts)}`);
  for (const one of differences.slice(0, DIFFERENCES_SHOWN)) {
    const place = [
      one.where,
      one.partition === undefined
        ? ''
        : `partition ${one.partition}, offsets ${one.from} to ${(one.to ?? 1) - 1}`,
      one.bucket === undefined ? '' : `${one.tier} s from ${one.bucket} ${JSON.stringify(one.dimensions)}`,
    ];
    lines.push(`  - ${one.kind}: ${place.filter((text) => text !== '').join(', ')}: ${one.why}`);
    lines.push(`      expected ${JSON.stringify(one.expected)}, found ${JSON.stringify(one.found)}`);
  }
  if (differences.length > DIFFERENCES_SHOWN) lines.push(`  … and more (--json lists ${differences.length})`);
  for (const one of unverifiable) lines.push(`  unverifiable (${one.where}): ${one.why}`);
  for (const remark of remarks) lines.push(`  note: ${remark}`);
  return `${lines.join('\n')}\n`;
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const texts = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
  return texts.length === 0 ? 'no difference' : texts.join(', ');
}
