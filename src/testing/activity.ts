/** Who can tell when nothing is under way. */
export interface Quiet {
  /** Resolves when nothing is under way, and nothing begins by itself. */
  idle(): Promise<void>;
}

/** Turns of the event loop after which whoever was told of the last result has begun what follows from it. */
const TURNS = 8;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * What is under way at the ports: statements of the engine, calls of the file system, requests. Everything else that the
 * system does is computing and ends within a turn of the event loop (SQLite answers at once, too), or it sleeps on the
 * clock. So nothing is under way when nothing is at a port and a few turns later nothing has come to one: no stage has to
 * tell, and nobody looks at a watch.
 */
export class Activity implements Quiet {
  #underWay = 0;
  #begun = 0;
  #waiting: (() => void)[] = [];

  async around<T>(work: () => Promise<T>): Promise<T> {
    const end = this.begin();
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Resolves with the way to tell that it has ended. */
  begin(): () => void {
    this.#underWay += 1;
    this.#begun += 1;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#underWay -= 1;
      if (this.#underWay === 0) for (const wake of this.#waiting.splice(0)) wake();
    };
  }

  async idle(): Promise<void> {
    for (;;) {
      if (this.#underWay > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      const before = this.#begun;
      for (let passed = 0; passed < TURNS && this.#begun === before; passed += 1) await turn();
      if (this.#underWay === 0 && this.#begun === before) return;
    }
  }
}
