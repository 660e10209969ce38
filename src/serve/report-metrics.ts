/** Runs of reports, for Prometheus. */
import { Gauge, type Registry } from 'prom-client';
import type { Reports } from '../reports/port.ts';

export function watchReports(registry: Registry, reports: Pick<Reports, 'figures'>): void {
  new Gauge({
    name: 'millrace_report_runs',
    help: 'Runs of reports: those that wait and run, and since the start those that are done, failed, cancelled',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(reports.figures())) this.set({ state }, count);
    },
  });
}
