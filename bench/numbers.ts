/** Questions that the benchmarks ask the server about what it has stored. */
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM } from './definitions.ts';
import type { BenchServer } from './server.ts';

/** How many events of the stream a question sees now, optionally of one `field:op:value`. */
export async function countVisible(server: BenchServer, where?: string): Promise<number> {
  const range = `from=${encodeURIComponent(new Date(Date.now() - 3_600_000).toISOString())}&to=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`;
  const filter = where === undefined ? '' : `&where=${encodeURIComponent(where)}`;
  const answer = (await server.ask('GET', `/v1/streams/${STREAM}/stats?fn=count&${range}${filter}`)) as {
    readonly rows: readonly { readonly count?: number | string }[];
  };
  return Number(answer.rows[0]?.count ?? 0);
}

/**
 * Waits until `expected` events are visible and gives the milliseconds that it took. Rejects when there are more
 * than expected, or fewer for good: a benchmark that loses an event has failed.
 */
export async function waitUntilVisible(
  server: BenchServer,
  expected: number,
  timeoutMs: number,
): Promise<number> {
  const start = performance.now();
  for (;;) {
    const visible = await countVisible(server);
    const elapsed = performance.now() - start;
    if (visible === expected) return elapsed;
    if (visible > expected || elapsed > timeoutMs) {
      throw new Error(`${expected} events were acknowledged and ${visible} are visible`);
    }
    await sleep(Math.min(250, 20 + elapsed / 20));
  }
}
