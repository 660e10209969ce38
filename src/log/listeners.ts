/** Who wants to know of appends, by partition; a partition may be listened to before it exists. */
import type { PartitionKey } from '../base/brand.ts';
import { PartitionMap } from './partition-map.ts';

export class Listeners {
  readonly #listeners = new PartitionMap<Set<() => void>>();

  add(key: PartitionKey, listener: () => void): () => void {
    const set = this.#listeners.getOrMake(key, () => new Set());
    // The same function may listen twice.
    const own = () => listener();
    set.add(own);
    return () => {
      set.delete(own);
      if (set.size === 0 && this.#listeners.get(key) === set) this.#listeners.delete(key);
    };
  }

  /** A listener that throws is a broken invariant of its owner, and must not look like a failed append. */
  tell(key: PartitionKey): void {
    for (const listener of this.#listeners.get(key) ?? []) {
      try {
        listener();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
