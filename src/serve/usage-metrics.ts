/** What tenants have stored, for Prometheus. */
import { Gauge, type Registry } from 'prom-client';
import type { TenantDirectory } from '../tenants/index.ts';
import type { Usage } from '../usage/index.ts';

export function watchUsage(
  registry: Registry,
  tenants: Pick<TenantDirectory, 'list'>,
  usage: Pick<Usage, 'usageOf'>,
): void {
  const registers = [registry];
  new Gauge({
    name: 'millrace_tenant_stored_bytes',
    help: 'Bytes of tables and log of a tenant, as of the last measurement',
    labelNames: ['tenant', 'where'],
    registers,
    collect() {
      this.reset();
      for (const tenant of tenants.list()) {
        const measured = usage.usageOf(tenant);
        if (!measured) continue;
        this.set({ tenant, where: 'tables' }, measured.tableBytes);
        this.set({ tenant, where: 'log' }, measured.logBytes);
      }
    },
  });
  new Gauge({
    name: 'millrace_rollup_cardinality',
    help: 'Combinations of dimensions in a rollup over its newest day, of tenants that have a limit for it',
    labelNames: ['tenant', 'rollup'],
    registers,
    collect() {
      this.reset();
      for (const tenant of tenants.list()) {
        for (const { rollup, cardinality } of usage.usageOf(tenant)?.rollups ?? [])
          this.set({ tenant, rollup }, cardinality);
      }
    },
  });
}
