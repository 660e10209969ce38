import { Mutex } from './mutex.ts';

/** Lets changes of different things go side by side, and those of the same thing one after another. */
export class Locks {
  readonly #mutexes = new Map<string, { readonly mutex: Mutex; users: number }>();

  /** Runs `work` while nobody else holds any of these names. */
  run<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    // Everybody takes them in the same order, so that nobody waits for one who waits for him.
    const [first, ...rest] = [...new Set(names)].sort();
    return first === undefined ? work() : this.#one(first, () => this.run(rest, work));
  }

  async #one<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lock = this.#mutexes.get(name) ?? { mutex: new Mutex(), users: 0 };
    this.#mutexes.set(name, lock);
    lock.users += 1;
    try {
      return await lock.mutex.run(work);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) this.#mutexes.delete(name);
    }
  }
}
