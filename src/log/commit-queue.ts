/**
 * Group commit: appends gather while a commit is under way, or until the first of them has waited for the linger,
 * or until there is enough of them; then they are committed together, one group at a time, in order. An append with
 * options waits for nobody and nobody joins it.
 *
 *   append ─▶ gathering ─▶ committing ─▶ durable: resolve, tell listeners
 *                              └─▶ failed: reject the whole group
 */
import type { Clock } from '../base/clock.ts';
import { type Committed, Group } from './group.ts';
import type { Appended, AppendOptions, Records } from './port.ts';

export interface CommitQueueOptions {
  readonly clock: Clock;
  /** How long the first append of a group waits for company, milliseconds. 0: not at all when nothing is under way. */
  readonly lingerMs: number;
  /** Makes the group durable, or rejects with what its senders are told. */
  readonly commit: (group: Group) => Promise<Committed>;
  readonly committed: () => void;
  /** These bytes do not wait any more. */
  readonly release: (bytes: number) => void;
}

/** A group that has this much does not wait for company. */
const ENOUGH_BYTES = 4 * 2 ** 20;
/** A group takes no append that would make it larger than this; one append alone may be. */
const GROUP_BYTES_MAX = 16 * 2 ** 20;

export class CommitQueue {
  readonly #options: CommitQueueOptions;
  readonly #groups: Group[] = [];
  #running: Promise<void> | undefined;
  #committing = false;
  #flushing = false;
  /** Ends the wait for company. */
  #hurry: AbortController | undefined;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  /** An append with options is a group of its own. */
  add(records: Records, own?: AppendOptions): Promise<Appended> {
    return new Promise((resolve, reject) => {
      let group = this.#groups.at(-1);
      if (!group || own || group.own || group.bytes + records.bytes > GROUP_BYTES_MAX) {
        group = new Group(this.#options.clock.monotonicMs(), own);
        this.#groups.push(group);
      }
      group.add(records, resolve, reject);
      if (this.#committing) group.hashAhead();
      if (this.#isReady(this.#groups[0]!)) this.#hurry?.abort();
      this.#running ??= this.#run();
    });
  }

  /** Commits what waits, without waiting for company; resolves when nothing is left. */
  async flush(): Promise<void> {
    this.#flushing = true;
    this.#hurry?.abort();
    while (this.#running) await this.#running;
    this.#flushing = false;
  }

  #isReady(group: Group): boolean {
    return (
      this.#flushing || this.#groups.length > 1 || group.own !== undefined || group.bytes >= ENOUGH_BYTES
    );
  }

  async #run(): Promise<void> {
    // What other requests of this turn of the event loop bring goes into the same group.
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let group = this.#groups[0]; group; group = this.#groups[0]) {
      await this.#linger(group);
      this.#groups.shift();
      this.#committing = true;
      await this.#commit(group);
      this.#committing = false;
    }
    this.#running = undefined;
  }

  async #linger(group: Group): Promise<void> {
    const { clock, lingerMs } = this.#options;
    if (lingerMs <= 0) return;
    const leftMs = group.openedAtMs + lingerMs - clock.monotonicMs();
    if (leftMs <= 0 || this.#isReady(group)) return;
    this.#hurry = new AbortController();
    await clock.sleep(leftMs, this.#hurry.signal);
    this.#hurry = undefined;
  }

  async #commit(group: Group): Promise<void> {
    const { bytes } = group;
    try {
      const committed = await this.#options.commit(group);
      this.#options.release(bytes);
      group.succeed(committed);
    } catch (error) {
      this.#options.release(bytes);
      group.fail(error);
      return;
    }
    this.#options.committed();
  }
}
