/** Results go when the report has kept them long enough: the files first, then what is known of them. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import type { ReportRecords } from './records.ts';
import type { ResultFiles } from './result-files.ts';

export interface ForgettingParts {
  readonly records: ReportRecords;
  readonly files: ResultFiles;
  readonly catalog: Pick<Catalog, 'object' | 'objects'>;
  readonly clock: Clock;
}

const LOOK_MS = 3_600_000;
const AT_ONCE = 100;

export class Forgetting {
  readonly #parts: ForgettingParts;
  readonly #end = new AbortController();

  constructor(parts: ForgettingParts) {
    this.#parts = parts;
  }

  begin(tenants: Pick<TenantDirectory, 'list' | 'state'>): void {
    void this.#run(tenants);
  }

  stop(): void {
    this.#end.abort();
  }

  async #run(tenants: Pick<TenantDirectory, 'list' | 'state'>): Promise<void> {
    const { clock, catalog } = this.#parts;
    for (;;) {
      await clock.sleep(LOOK_MS, this.#end.signal);
      if (this.#end.signal.aborted) return;
      for (const tenant of tenants.list()) {
        if (tenants.state(tenant) !== 'active') continue;
        // What fails is tried again in an hour.
        for (const { definition } of catalog.objects(tenant, 'report'))
          await this.forget(tenant, definition.name).catch(() => undefined);
      }
    }
  }

  async forget(tenant: TenantId, report: string): Promise<void> {
    const { records, files, catalog, clock } = this.#parts;
    const retentionMs = catalog.object(tenant, 'report', report)?.definition.retentionMs;
    if (retentionMs === undefined) return;
    for (;;) {
      const ids = await records.endedBefore(tenant, report, clock.now() - retentionMs, AT_ONCE);
      for (const id of ids) {
        if (this.#end.signal.aborted) return;
        const run = await records.get(tenant, report, id);
        if (!run) return;
        await files.remove(tenant, run);
        await records.forget(tenant, run);
      }
      if (ids.length < AT_ONCE) return;
    }
  }
}
