import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { parseStream } from '../../src/define/index.ts';
import { watchTenants } from '../../src/serve/tenant-metrics.ts';

type Deps = Parameters<typeof watchTenants>[1];

describe('metrics of tenants', () => {
  it('read the figures of a stream once for an answer, and again for the next', async () => {
    let reads = 0;
    const definition = parseStream('clicks', { fields: { page: 'string' } });
    const registry = new Registry();
    watchTenants(registry, {
      tenants: { list: () => [DEFAULT_TENANT] },
      catalog: { streams: () => [{ definition, document: {}, version: 1, updatedAtMs: 0 }] },
      states: {
        counts: () => ({ accepted: 1 }),
        figures: async () => {
          reads += 1;
          return { pending: reads, log_bytes: reads, watermark: null };
        },
      },
      ledger: { health: () => ({ checked: 0, mismatchedMinutes: 0 }) },
      reconciler: { newest: async () => undefined },
      runs: { counts: async () => [] },
    } as unknown as Deps);

    for (const turn of [1, 2, 3]) {
      const text = await registry.metrics();
      expect(reads).toBe(turn);
      expect(text).toContain(`millrace_pending_events{tenant="default",stream="clicks"} ${turn}`);
      expect(text).toContain(`millrace_log_bytes{tenant="default",stream="clicks"} ${turn}`);
    }
  });
});
