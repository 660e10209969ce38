/** A catalog in memory, which outlives the processes: its writes are atomic and durable at once. */
import type { TenantId } from '../../src/base/brand.ts';
import type { Catalog, Versioned } from '../../src/catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../../src/define/model.ts';

export class SimulatedCatalog {
  readonly #streams: StreamDefinition[] = [];
  readonly #rollups = new Map<string, Versioned<RollupDefinition>>();
  readonly #building = new Map<string, Versioned<RollupDefinition>>();
  readonly #versions = new Map<string, number>();

  putStream(stream: StreamDefinition): number {
    return this.#streams.push(stream);
  }

  get stream(): StreamDefinition {
    return this.#streams.at(-1)!;
  }

  streamVersion(version: number): StreamDefinition {
    return this.#streams[version - 1]!;
  }

  get streamVersionNow(): number {
    return this.#streams.length;
  }

  get rollups(): readonly Versioned<RollupDefinition>[] {
    return [...this.#rollups.values()];
  }

  get building(): readonly Versioned<RollupDefinition>[] {
    return [...this.#building.values()];
  }

  /** From now on every batch goes to it too. */
  build(rollup: RollupDefinition): Versioned<RollupDefinition> {
    const version = (this.#versions.get(rollup.name) ?? 0) + 1;
    this.#versions.set(rollup.name, version);
    const versioned = versionedOf(rollup, version);
    this.#building.set(rollup.name, versioned);
    return versioned;
  }

  abandon(name: string): void {
    this.#building.delete(name);
  }

  commit(name: string): void {
    const built = this.#building.get(name);
    if (!built) throw new Error(`nothing is built for ${name}`);
    this.#building.delete(name);
    this.#rollups.set(name, built);
  }

  /** As the code under test sees it; what it must not use is not there. */
  asCatalog(): Catalog {
    const used: Partial<Catalog> = {
      stream: () => versionedOf(this.stream, this.streamVersionNow),
      streamVersion: (_tenant: TenantId, _name: string, version: number) => this.streamVersion(version),
      rollups: () => this.rollups,
      building: () => this.building,
    };
    return used as Catalog;
  }
}

const versionedOf = <D extends StreamDefinition | RollupDefinition>(definition: D, version: number) => ({
  definition,
  document: {},
  version,
  updatedAtMs: 0,
});
