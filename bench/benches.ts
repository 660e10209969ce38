import type { RunBench } from './figure.ts';

/** In the order in which an event lives. */
export const BENCHES = [
  'log',
  'collect',
  'dedup',
  'ingest',
  'path',
  'stats',
  'hot',
  'questions',
  'tables',
  'fairness',
] as const;
export type BenchName = (typeof BENCHES)[number];

export async function loadBench(name: BenchName): Promise<RunBench> {
  const module = (await import(`./${name}.bench.ts`)) as { readonly run: RunBench };
  return module.run;
}
