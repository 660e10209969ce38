/** What windows have told, for `/metrics`. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { WindowFigures } from '../windows/port.ts';

export function watchWindows(registry: Registry, read: () => readonly WindowFigures[]): void {
  const registers = [registry];
  new Counter({
    name: 'millrace_window_results_total',
    help: 'Results that windows have published, by what they are (final, corrected, early, retracted)',
    labelNames: ['tenant', 'window', 'status'] as const,
    registers,
    collect() {
      this.reset();
      for (const { tenant, window, published } of read())
        for (const [status, count] of Object.entries(published)) this.inc({ tenant, window, status }, count);
    },
  });
  new Gauge({
    name: 'millrace_window_closed_to_seconds',
    help: 'Windows that end by this time (epoch seconds) are published',
    labelNames: ['tenant', 'window'] as const,
    registers,
    collect() {
      this.reset();
      for (const { tenant, window, closedToMs } of read())
        if (closedToMs !== undefined) this.set({ tenant, window }, closedToMs / 1_000);
    },
  });
  new Gauge({
    name: 'millrace_window_failures',
    help: 'Tries to take a window on that failed since one that did not',
    labelNames: ['tenant', 'window'] as const,
    registers,
    collect() {
      this.reset();
      for (const { tenant, window, failures } of read()) this.set({ tenant, window }, failures);
    },
  });
}
