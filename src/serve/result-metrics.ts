/** What becomes of questions that were asked before, for `/metrics`. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { LookupsState, ResultsState } from '../stats/index.ts';

export function watchResults(
  registry: Registry,
  read: () => ResultsState,
  lookups: () => LookupsState | undefined,
): void {
  const registers = [registry];
  const labelNames = ['how'] as const;
  new Counter({
    name: 'millrace_questions_total',
    help: 'Questions: answered from the cache (exact; aged, as tolerated by max_age), computed together with an equal one (shared), computed',
    labelNames,
    registers,
    collect() {
      this.reset();
      const { exact, aged, shared, missed } = read();
      for (const [how, count] of Object.entries({ exact, aged, shared, computed: missed }))
        this.inc({ how }, count);
    },
  });
  const counter = (name: string, help: string, of: (state: ResultsState) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(of(read()));
      },
    });
  const gauge = (name: string, help: string, of: (state: ResultsState) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(of(read()));
      },
    });
  new Counter({
    name: 'millrace_lookups_batched_total',
    help: 'Point questions that were answered together with others, in one statement',
    registers,
    collect() {
      this.reset();
      this.inc(lookups()?.batched ?? 0);
    },
  });
  gauge('millrace_cache_bytes', 'Memory of kept answers', ({ bytes }) => bytes);
  gauge('millrace_cache_answers', 'Kept answers in memory', ({ entries }) => entries);
  counter('millrace_cache_evicted_total', 'Kept answers that gave way to others', ({ evicted }) => evicted);
  counter(
    'millrace_shared_cache_failures_total',
    'Times that the shared cache was not there or too slow',
    ({ sharedCacheFailures }) => sharedCacheFailures,
  );
}
