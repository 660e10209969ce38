import type { TenantId } from '../base/brand.ts';

/** How many requests of each tenant are under way. */
export class TenantRequests {
  readonly #counts = new Map<TenantId, number>();
  #left: (() => void)[] = [];

  /** Counts the request until its answer is out or its connection is gone. */
  enter(tenant: TenantId, answer: { once(event: 'close', listener: () => void): unknown }): void {
    this.#counts.set(tenant, this.of(tenant) + 1);
    answer.once('close', () => {
      const count = this.of(tenant) - 1;
      if (count > 0) this.#counts.set(tenant, count);
      else this.#counts.delete(tenant);
      for (const tell of this.#left.splice(0)) tell();
    });
  }

  of(tenant: TenantId): number {
    return this.#counts.get(tenant) ?? 0;
  }

  /** Resolves when the tenant has no request under way, or the signal aborts. */
  async ended(tenant: TenantId, signal: AbortSignal): Promise<void> {
    while (this.of(tenant) > 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#left.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}
