/** What of the ledger is asked all the time, by tenant and stream. */
import type { TenantId } from '../base/brand.ts';
import type { ForgettingTable, LedgerSummary } from './ledger.ts';

interface OfStream {
  summary: LedgerSummary;
  epoch: number;
  forgotten: Partial<Record<ForgettingTable, number>>;
}

const NOTHING: LedgerSummary = { rows: 0, mismatched: 0, stale: 0, endMs: undefined };
const UNKNOWN: Readonly<OfStream> = { summary: NOTHING, epoch: 0, forgotten: {} };

export class LedgerMemory {
  readonly #tenants = new Map<string, Map<string, OfStream>>();

  of(tenant: string, stream: string): Readonly<OfStream> {
    return this.#tenants.get(tenant)?.get(stream) ?? UNKNOWN;
  }

  keepSummary(tenant: string, stream: string, summary: LedgerSummary): void {
    this.#make(tenant, stream).summary = summary;
  }

  keepForgotten(tenant: string, stream: string, table: ForgettingTable, beforeMs: number): void {
    this.#make(tenant, stream).forgotten[table] = beforeMs;
  }

  nextEpoch(tenant: string, stream: string): void {
    this.#make(tenant, stream).epoch += 1;
  }

  /** The epoch goes on counting: what was found out about the stream before is not written for the next of its name. */
  clear(tenant: string, stream: string): void {
    const of = this.#make(tenant, stream);
    of.summary = NOTHING;
    of.forgotten = {};
    of.epoch += 1;
  }

  forget(tenant: TenantId): void {
    for (const stream of this.#tenants.get(tenant)?.keys() ?? []) this.clear(tenant, stream);
  }

  #make(tenant: string, stream: string): OfStream {
    const ofTenant = this.#tenants.get(tenant) ?? new Map<string, OfStream>();
    this.#tenants.set(tenant, ofTenant);
    const of = ofTenant.get(stream) ?? { summary: NOTHING, epoch: 0, forgotten: {} };
    ofTenant.set(stream, of);
    return of;
  }
}
