/** Waits for a run of the server and shows how far it is. Ctrl-C stops waiting, never the run. */
import type { MillraceClient, RunInfo } from '../client/index.ts';
import { Failure, type Io } from './io.ts';

const POLL_MS = 500;

/** Resolves with the run as it ended. Fails when it failed or was cancelled. */
export async function watchRun(io: Io, client: MillraceClient, started: RunInfo): Promise<RunInfo> {
  let run = started;
  let shown = '';
  while (run.ended_at === null) {
    const { done, total, unit, step } = run.progress;
    const line = `${step}: ${done}${total > 0 ? ` of ${total}` : ''} ${unit}`;
    if (line !== shown) io.stderr.write(`${line}\n`);
    shown = line;
    await io.clock.sleep(POLL_MS);
    run = await client.run(run.id);
  }
  if (run.state === 'done') return run;
  throw new Failure(`the run ${run.id} ${run.state === 'failed' ? `failed: ${run.error}` : 'was cancelled'}`);
}
