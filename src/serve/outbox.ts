/**
 * Answers that are at hand go out together, when everything that has come in was read. To hand one to the system costs more than
 * to compute it as long as its reader sleeps: the first of many wakes him, and the others find him awake.
 */
export class Outbox {
  #waiting: (() => void)[] = [];

  /** `send` must not throw. As many wait as requests were read in one turn of the event loop. */
  put(send: () => void): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#sendAll());
    this.#waiting.push(send);
  }

  #sendAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const send of waiting) send();
  }
}
