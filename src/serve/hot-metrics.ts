/** What the memory for recent buckets holds and does, for `/metrics`. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { HotFigures } from '../hot/index.ts';

export function watchHot(registry: Registry, read: () => HotFigures): void {
  const registers = [registry];
  new Gauge({
    name: 'millrace_hot_bytes',
    help: 'Memory of recent buckets, of all rollups together',
    registers,
    collect() {
      this.set(read().bytes);
    },
  });
  new Gauge({
    name: 'millrace_hot_rollups',
    help: 'Rollups that are answered from memory (hot), being read (warming), or given up for a while (cold)',
    labelNames: ['standing'],
    registers,
    collect() {
      this.reset();
      const { hot, warming, cold } = read();
      for (const [standing, count] of Object.entries({ hot, warming, cold })) this.set({ standing }, count);
    },
  });
  new Counter({
    name: 'millrace_hot_questions_total',
    help: 'Questions about rollups that may be in memory: answered from there, or left to the engine',
    labelNames: ['how'],
    registers,
    collect() {
      this.reset();
      const { answered, missed } = read();
      for (const [how, count] of Object.entries({ answered, missed })) this.inc({ how }, count);
    },
  });
}
