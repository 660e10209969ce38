/** What waits to be sent, for Prometheus. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { TenantId } from '../base/brand.ts';
import type { DeliveryFigures, SubscriptionView } from '../deliver/index.ts';

export function watchDeliveries(
  registry: Registry,
  {
    tenants,
    figures,
    webhooks,
    now,
  }: {
    readonly tenants: () => readonly TenantId[];
    readonly figures: (tenant: TenantId) => DeliveryFigures;
    readonly webhooks: (tenant: TenantId) => readonly SubscriptionView[];
    readonly now: () => number;
  },
): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: (figures: DeliveryFigures) => number) =>
    new Gauge({
      ...{ name, help, labelNames: ['tenant'], registers },
      collect() {
        this.reset();
        for (const tenant of tenants()) this.set({ tenant }, value(figures(tenant)));
      },
    });
  gauge('millrace_deliveries_waiting', 'Webhooks and mails that wait to be sent', (one) => one.waiting);
  gauge(
    'millrace_deliveries_dead',
    'Webhooks and mails that were given up and wait for a replay',
    (one) => one.dead,
  );
  gauge(
    'millrace_deliveries_oldest_seconds',
    'Age of the oldest that waits, 0 when none does',
    ({ oldestAtMs }) => (oldestAtMs === undefined ? 0 : Math.max(0, now() - oldestAtMs) / 1_000),
  );
  const counter = (name: string, help: string, value: (figures: DeliveryFigures) => number) =>
    new Counter({
      ...{ name, help, labelNames: ['tenant'], registers },
      collect() {
        this.reset();
        for (const tenant of tenants()) this.inc({ tenant }, value(figures(tenant)));
      },
    });
  counter('millrace_deliveries_sent_total', 'Webhooks and mails that were sent', (one) => one.sent);
  counter('millrace_deliveries_failed_total', 'Tries that did not succeed', (one) => one.failed);
  counter(
    'millrace_deliveries_forgotten_total',
    'Dead letters that made room for newer ones',
    (one) => one.forgotten,
  );
  new Gauge({
    name: 'millrace_webhook_behind_records',
    help: 'Records of a stream that a webhook has not come to yet',
    labelNames: ['tenant', 'stream', 'webhook', 'state'],
    registers,
    collect() {
      this.reset();
      for (const tenant of tenants())
        for (const { stream, name, state, behind } of webhooks(tenant))
          this.set({ tenant, stream, webhook: name, state }, behind);
    },
  });
}
