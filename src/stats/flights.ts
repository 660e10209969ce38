/**
 * Equal questions that are asked at the same time are computed once. Each caller may leave without harm to the others;
 * when the last one has left, the computation is ended.
 */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { unlessAborted } from '../base/unless-aborted.ts';

export interface Flight<Facts, Value> {
  /** What tells whether another caller may join. */
  readonly facts: Facts;
  readonly value: Promise<Value>;
  readonly end: AbortController;
  callers: number;
}

export class Flights<Facts, Value> {
  readonly #tenants = new Map<TenantId, Map<string, Flight<Facts, Value>>>();

  /** The newest computation of the question that is under way. */
  find(tenant: TenantId, name: string): Flight<Facts, Value> | undefined {
    return this.#tenants.get(tenant)?.get(name);
  }

  /** Begins one; it takes the place of an earlier one, whose callers stay with it. */
  begin(
    tenant: TenantId,
    name: string,
    facts: Facts,
    compute: (signal: AbortSignal) => Promise<Value>,
  ): Flight<Facts, Value> {
    const end = new AbortController();
    const flight: Flight<Facts, Value> = {
      facts,
      end,
      callers: 0,
      value: compute(end.signal).finally(() => this.#forget(tenant, name, flight)),
    };
    // Everybody may have left before it fails.
    flight.value.catch(() => undefined);
    const ofTenant = this.#tenants.get(tenant) ?? new Map<string, Flight<Facts, Value>>();
    this.#tenants.set(tenant, ofTenant.set(name, flight));
    return flight;
  }

  /** Waits for it. Rejects with `query-timeout` as soon as `signal` aborts. */
  async join(
    tenant: TenantId,
    name: string,
    flight: Flight<Facts, Value>,
    signal: AbortSignal | undefined,
  ): Promise<Value> {
    flight.callers += 1;
    try {
      if (!signal) return await flight.value;
      const nobody = () => new MillraceError('query-timeout', 'nobody waits for the answer any more');
      return await unlessAborted(flight.value, signal, nobody);
    } finally {
      flight.callers -= 1;
      if (flight.callers === 0) {
        // Who comes now must not wait for a computation that ends without an answer.
        this.#forget(tenant, name, flight);
        flight.end.abort();
      }
    }
  }

  #forget(tenant: TenantId, name: string, flight: Flight<Facts, Value>): void {
    const ofTenant = this.#tenants.get(tenant);
    if (ofTenant?.get(name) !== flight) return;
    ofTenant.delete(name);
    if (ofTenant.size === 0) this.#tenants.delete(tenant);
  }
}
