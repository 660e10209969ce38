/** Measures, on live traffic, how long it takes from the acknowledgement of an event to its being visible. */
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import { partitionKeys } from './partition-keys.ts';

/** A measurement says nothing about now once it is older than this. */
const RECENT_MS = 60_000;
const STREAMS_MAX = 10_000;

interface Probe {
  underWay: boolean;
  nextAtMs: number;
  measuredAtMs: number;
  freshnessMs: number | undefined;
}

export class Freshness {
  readonly #probes = new Map<string, Probe>();
  readonly #deps: { catalog: Catalog; log: Log; ingest: Pick<Ingest, 'state' | 'applied'>; clock: Clock };

  constructor(deps: { catalog: Catalog; log: Log; ingest: Pick<Ingest, 'state' | 'applied'>; clock: Clock }) {
    this.#deps = deps;
  }

  /** Called after each acknowledgement; follows one event per stream at a time and at most ten a second. */
  accepted(tenant: TenantId, stream: string): void {
    const name = JSON.stringify([tenant, stream]);
    const now = this.#deps.clock.monotonicMs();
    let probe = this.#probes.get(name);
    if (probe === undefined) {
      if (this.#probes.size >= STREAMS_MAX) this.#probes.clear();
      probe = { underWay: false, nextAtMs: now, measuredAtMs: now, freshnessMs: undefined };
      this.#probes.set(name, probe);
    }
    if (probe.underWay || now < probe.nextAtMs) return;
    probe.nextAtMs = now + 100;
    const waiting = this.#waiting(tenant, stream);
    if (waiting === undefined) return;
    probe.underWay = true;
    void this.#follow(probe, waiting.key, waiting.end, now);
  }

  /** The newest measurement, ms; undefined when there is no recent one. */
  recentMs(tenant: TenantId, stream: StreamName): number | undefined {
    const probe = this.#probes.get(JSON.stringify([tenant, stream]));
    if (probe?.freshnessMs === undefined) return undefined;
    return this.#deps.clock.monotonicMs() - probe.measuredAtMs > RECENT_MS ? undefined : probe.freshnessMs;
  }

  forget(tenant: TenantId): void {
    for (const name of this.#probes.keys()) {
      if ((JSON.parse(name) as string[])[0] === tenant) this.#probes.delete(name);
    }
  }

  #waiting(tenant: TenantId, stream: string): { key: PartitionKey; end: Offset } | undefined {
    const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
    if (definition === undefined) return undefined;
    for (const key of partitionKeys(tenant, definition)) {
      const { end } = this.#deps.log.state(key);
      if (end > this.#deps.ingest.state(key).applied) return { key, end };
    }
    return undefined;
  }

  async #follow(probe: Probe, key: PartitionKey, end: Offset, startedMs: number): Promise<void> {
    try {
      await this.#deps.ingest.applied(key, (end - 1) as Offset, end);
      const now = this.#deps.clock.monotonicMs();
      probe.measuredAtMs = now;
      probe.freshnessMs = now - startedMs;
    } catch {
      // The server stops, or the stream went away: no measurement.
    } finally {
      probe.underWay = false;
    }
  }
}
