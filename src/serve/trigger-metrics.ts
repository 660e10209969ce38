/** What triggers do, for `/metrics`. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { TriggerFigures } from '../triggers/index.ts';

export function watchTriggers(registry: Registry, read: () => TriggerFigures): void {
  const registers = [registry];
  const counter = (name: string, help: string, of: (figures: TriggerFigures) => number) =>
    new Counter({
      ...{ name, help, registers },
      collect() {
        this.reset();
        this.inc(of(read()));
      },
    });
  counter(
    'millrace_trigger_evaluations_total',
    'Looks at what triggers watch',
    ({ evaluations }) => evaluations,
  );
  counter(
    'millrace_trigger_failures_total',
    'Evaluations that failed and are tried again',
    ({ failures }) => failures,
  );
  counter('millrace_trigger_told_total', 'Firings and resolutions', ({ told }) => told);
  const gauge = (name: string, help: string, state: 'firing' | 'pending') =>
    new Gauge({
      ...{ name, help, labelNames: ['tenant', 'trigger'], registers },
      collect() {
        this.reset();
        for (const one of read().groups) this.set({ tenant: one.tenant, trigger: one.trigger }, one[state]);
      },
    });
  gauge('millrace_triggers_firing', 'Groups of a trigger that fire', 'firing');
  gauge(
    'millrace_triggers_pending',
    'Groups of a trigger whose condition holds, not yet for long enough, or muted',
    'pending',
  );
}
