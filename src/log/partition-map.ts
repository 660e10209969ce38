/** Values by partition. The parts of a key are never joined, so no name can be mistaken for two. */
import type { PartitionKey, StreamName, TenantId } from '../base/brand.ts';

export class PartitionMap<Value> {
  readonly #tenants = new Map<TenantId, Map<StreamName, Map<number, Value>>>();

  get(key: PartitionKey): Value | undefined {
    return this.#tenants.get(key.tenant)?.get(key.stream)?.get(key.partition);
  }

  getOrMake(key: PartitionKey, make: () => Value): Value {
    const streams = getOrMake(this.#tenants, key.tenant, () => new Map<StreamName, Map<number, Value>>());
    const partitions = getOrMake(streams, key.stream, () => new Map<number, Value>());
    return getOrMake(partitions, key.partition, make);
  }

  delete(key: PartitionKey): void {
    this.#tenants.get(key.tenant)?.get(key.stream)?.delete(key.partition);
  }

  entries(): { readonly key: PartitionKey; readonly value: Value }[] {
    const all: { key: PartitionKey; value: Value }[] = [];
    for (const [tenant, streams] of this.#tenants)
      for (const [stream, partitions] of streams)
        for (const [partition, value] of partitions) all.push({ key: { tenant, stream, partition }, value });
    return all;
  }
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made = make();
  map.set(key, made);
  return made;
}
