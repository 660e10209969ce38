/** Counts the changes of streams' tables that applying records does not explain. */
import type { StreamName, TenantId } from '../base/brand.ts';

interface Changes {
  /** Works under way. */
  running: number;
  finished: number;
}

export class Contents {
  readonly #tenants = new Map<TenantId, Map<StreamName, Changes>>();

  of(tenant: TenantId, stream: StreamName): number | undefined {
    const changes = this.#tenants.get(tenant)?.get(stream);
    if (!changes) return 0;
    return changes.running > 0 ? undefined : changes.finished;
  }

  /** A work that fails may have changed something too. */
  async around<T>(tenant: TenantId, stream: StreamName, work: () => Promise<T>): Promise<T> {
    const ofTenant = this.#tenants.get(tenant) ?? new Map<StreamName, Changes>();
    this.#tenants.set(tenant, ofTenant);
    const changes = ofTenant.get(stream) ?? { running: 0, finished: 0 };
    ofTenant.set(stream, changes);
    changes.running += 1;
    try {
      return await work();
    } finally {
      changes.running -= 1;
      changes.finished += 1;
    }
  }
}
