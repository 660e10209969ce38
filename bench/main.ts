/**
 * `npm run bench -- [log collect dedup ingest path stats hot questions fairness] [--size small|full] [--seconds N] [--case NAME]`: one line of JSON a figure on
 * stdout, progress on stderr. Exits with 1 when a benchmark fails, for example because an event is missing.
 */
import { parseArgs } from 'node:util';
import { BENCHES, type BenchName, loadBench } from './benches.ts';
import { type BenchOptions, type Figure, progress } from './figure.ts';
import { describeMachine } from './machine.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: 'full' },
    seconds: { type: 'string' },
    case: { type: 'string', multiple: true },
    help: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const unknown = positionals.filter((name) => !(BENCHES as readonly string[]).includes(name));
  const { size } = values;
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  const wrong =
    unknown.length > 0 ||
    (size !== 'small' && size !== 'full') ||
    (seconds !== undefined && !(seconds > 0 && seconds <= 3_600));
  if (values.help || wrong) {
    progress(
      `usage: npm run bench -- [${BENCHES.join(' ')}] [--size small|full] [--seconds N] [--case NAME]`,
    );
    return wrong ? 2 : 0;
  }
  const options: BenchOptions = {
    size,
    ...(seconds === undefined ? {} : { seconds }),
    ...(values.case ? { cases: values.case } : {}),
  };
  const chosen = positionals.length > 0 ? (positionals as BenchName[]) : BENCHES;
  let failed = 0;
  for (const name of chosen) {
    try {
      await (await loadBench(name))(options, print);
    } catch (error) {
      failed += 1;
      progress(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  return failed > 0 ? 1 : 0;
}

function print(figure: Figure): void {
  process.stdout.write(`${JSON.stringify({ ...figure, machine: describeMachine() })}\n`);
}
