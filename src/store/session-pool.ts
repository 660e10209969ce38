import type { Session } from 'chdb';
import { MillraceError } from '../base/errors.ts';

const WAITERS_MAX = 1_024;

/** Sessions, opened when they are first needed and lent to one caller at a time, first come first served. */
export class SessionPool {
  readonly #free: Session[] = [];
  readonly #waiters: ((session: Session) => void)[] = [];
  readonly #size: number;
  readonly #open: () => Session;
  #opened = 0;
  #isDraining = false;

  constructor(size: number, open: () => Session) {
    this.#size = size;
    this.#open = open;
  }

  /** The one that was given back last, of those that `suits` where there are any. */
  async take(suits: (session: Session) => boolean = () => true): Promise<Session> {
    const suiting = this.#free.findLastIndex(suits);
    const session = suiting < 0 ? this.#free.pop() : this.#free.splice(suiting, 1)[0];
    if (session) return session;
    if (this.#opened < this.#size && !this.#isDraining) {
      const opened = this.#open();
      this.#opened += 1;
      return opened;
    }
    if (this.#waiters.length >= WAITERS_MAX) {
      throw new MillraceError('too-busy', 'too many questions are waiting; ask again later', {
        retryAfterSeconds: 1,
      });
    }
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  give(session: Session): void {
    const next = this.#waiters.shift();
    if (next) next(session);
    else this.#free.push(session);
  }

  async use<T>(work: (session: Session) => Promise<T>, suits?: (session: Session) => boolean): Promise<T> {
    const session = await this.take(suits);
    try {
      return await work(session);
    } finally {
      this.give(session);
    }
  }

  /** Waits until every open session is back and gives them all. */
  async drain(): Promise<Session[]> {
    this.#isDraining = true;
    const sessions: Session[] = [];
    while (sessions.length < this.#opened) sessions.push(await this.take());
    return sessions;
  }
}
