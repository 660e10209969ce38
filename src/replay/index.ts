import { MillraceError } from '../base/errors.ts';
import type { Run, RunContext } from '../runs/port.ts';
import { dropShadows } from '../store/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { scratchOf } from './decide-again.ts';
import { findRanges } from './find-ranges.ts';
import type { ReplayParts } from './parts.ts';
import type { Replays } from './port.ts';
import { ReplayWork } from './replay-work.ts';
import { tidy } from './swap.ts';

export type { ReplayParts } from './parts.ts';
export type * from './port.ts';
export { recoverSwaps } from './swap.ts';

/** Registers replays with the runs. Call `recoverSwaps` before the streams begin. */
export function createReplays(parts: ReplayParts): Replays {
  const { catalog, runs } = parts;
  runs.register('replay', (run: Run, context: RunContext) => execute(parts, run, context), {
    giveUp: (run) => giveUp(parts, run),
  });
  return {
    start: async (tenant, name, request) => {
      const stream = catalog.stream(tenant, name);
      if (!stream) throw new MillraceError('unknown-stream', `there is no stream ${JSON.stringify(name)}`);
      const refuseWhileRunning = (): void => {
        const [running] = runs.unended(tenant, { stream: name, kind: 'replay', state: 'running' });
        if (!running) return;
        throw new MillraceError(
          'conflict',
          `the stream ${name} is being replayed already: wait for the run ${running.id}, or cancel it`,
        );
      };
      refuseWhileRunning();
      await findRanges(parts, tenant, stream.definition, request);
      // Another may have been started meanwhile.
      refuseWhileRunning();
      return runs.start({ tenant, kind: 'replay', stream: name, request });
    },
  };
}

async function execute(parts: ReplayParts, run: Run, context: RunContext): Promise<unknown> {
  const checkpoint = context.checkpoint as Checkpoint;
  // What has begun to swap is carried through, even if it was cancelled in between.
  if (!checkpoint || checkpoint.phase === 'fill') context.throwIfEnding();
  return new ReplayWork(parts, run, context).toItsEnd();
}

/** As if it had never been; a swap that has begun is left to whoever carries it through. */
async function giveUp(parts: ReplayParts, run: Run): Promise<void> {
  const checkpoint = run.checkpoint as Checkpoint;
  if (checkpoint?.phase === 'swap') return;
  if (checkpoint?.phase === 'swapped') await tidy(parts, run, checkpoint);
  else await dropShadows(parts.engine, run.tenant, run.id);
  await parts.files.rmdir(scratchOf(parts, run.id));
}
