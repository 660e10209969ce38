import { runProgram } from './child.ts';
import { STREAM } from './definitions.ts';
import { type LoadOptions, type LoadReport, loadFlags } from './load-options.ts';

/** What a benchmark says of the load; the rest has defaults. */
export type Load = Pick<LoadOptions, 'url' | 'key' | 'mode' | 'eventBytes' | 'connections' | 'seconds'> &
  Partial<LoadOptions> & {
    /** The nice value of the generator; absent: ours. */
    readonly nice?: number;
  };

let runs = (Date.now() & 0xffff) * 0x10000;

/** Runs the generator in its own process, with ids that no earlier run used. */
export function runLoad({ nice, ...load }: Load): Promise<LoadReport> {
  runs = (runs + 1) % 2 ** 32;
  const options: LoadOptions = {
    stream: STREAM,
    tenant: '',
    batch: 1,
    rate: 'max',
    warmupSeconds: 1,
    duplicates: 0,
    ack: 'durable',
    run: runs,
    ...load,
  };
  const timeoutMs = (options.warmupSeconds + options.seconds + 60) * 1_000;
  return runProgram<LoadReport>('load', loadFlags(options), {
    timeoutMs,
    ...(nice === undefined ? {} : { nice }),
  });
}
