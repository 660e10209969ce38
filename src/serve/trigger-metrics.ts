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
  new Gauge({
    name: 'millrace_trigger_groups',
    help: 'Groups of triggers that fire, or are about to (pending)',
    labelNames: ['state'],
    registers,
    collect() {
      const { firing, pending } = read();
      this.set({ state: 'firing' }, firing);
      this.set({ state: 'pending' }, pending);
    },
  });
}
