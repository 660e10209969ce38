import type { ServerResponse } from 'node:http';

/** One connection of server-sent events. It never buffers more than one message past the socket's own bound. */
export class Follower {
  readonly #response: ServerResponse;
  readonly #idOf: (id: string) => string;
  #missed = 0;

  /** `idOf`: how the id of a message is written for him. */
  constructor(response: ServerResponse, idOf: (id: string) => string = (id) => id) {
    this.#response = response;
    this.#idOf = idOf;
  }

  get closed(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  /** True while an earlier message has not left yet. */
  get behind(): boolean {
    return this.#response.writableNeedDrain || this.closed;
  }

  /** `data` is one line. */
  send(event: string, data: string, id?: string): void {
    if (this.closed) return;
    this.#response.write(
      `event: ${event}\n${id === undefined ? '' : `id: ${this.#idOf(id)}\n`}data: ${data}\n\n`,
    );
  }

  /** A comment keeps the connection alive. */
  comment(words: string): void {
    if (!this.behind) this.#response.write(`: ${words}\n\n`);
  }

  /** Counts events that were not sent because he was behind. */
  missed(count: number): void {
    this.#missed += count;
  }

  takeMissed(): number {
    const missed = this.#missed;
    this.#missed = 0;
    return missed;
  }

  /** Resolves when the earlier message has left, or nobody is there any more. */
  drained(): Promise<void> {
    if (!this.behind || this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#response.off('drain', done).off('close', done);
        resolve();
      };
      this.#response.once('drain', done).once('close', done);
    });
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener);
  }

  end(): void {
    if (!this.closed) this.#response.end();
  }
}
