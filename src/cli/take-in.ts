/** Takes records in again that were put aside: shows what would happen, or waits for the run. */
import { type MillraceClient, type QuarantineForecast, type RunInfo, toJson } from '../client/index.ts';
import type { Io } from './io.ts';
import { watchRun } from './watch-run.ts';

const LINE_SHOWN = 100;

export interface TakeInOptions {
  readonly json?: true;
  readonly dryRun?: true;
  readonly wait: boolean;
}

export async function takeIn(
  io: Io,
  client: MillraceClient,
  { json, dryRun, wait }: TakeInOptions,
  does: { readonly forecast: () => Promise<QuarantineForecast>; readonly start: () => Promise<RunInfo> },
): Promise<void> {
  if (dryRun) {
    const forecast = await does.forecast();
    io.stdout.write(json ? `${toJson(forecast)}\n` : forecastText(forecast));
    return;
  }
  const started = await does.start();
  const run = wait ? await watchRun(io, client, started) : started;
  if (json) io.stdout.write(`${toJson(run)}\n`);
  else if (run.ended_at === null)
    io.stdout.write(`The run ${run.id} goes on; millrace runs show ${run.id}\n`);
  else {
    const { replayed, stillBad } = run.result as { replayed: number; stillBad: number };
    io.stdout.write(`${replayed} replayed, ${stillBad} still not right.\n`);
  }
}

function forecastText({ candidates, examined, would_store, still_bad, sample }: QuarantineForecast): string {
  const lines = [`${candidates} wait; of the ${examined} oldest ${would_store} would be stored.`];
  for (const { field, reason, count } of still_bad) lines.push(`  ${count} would stay: ${field} ${reason}`);
  for (const { line, fixed, problem } of sample) {
    lines.push('', `- ${line.slice(0, LINE_SHOWN)}`, `+ ${fixed.slice(0, LINE_SHOWN)}`);
    if (problem !== null) lines.push(`  ${problem}`);
  }
  return `${lines.join('\n')}\n`;
}
