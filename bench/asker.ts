/** Asks questions of one tenant over HTTP and takes the time of each: on a schedule, or so many at a time. */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram } from './histogram.ts';
import type { ServerAddress } from './server.ts';

const UNDER_WAY_MAX = 500;

export interface AskerOptions {
  /** For whom the operator's key acts; absent: its own tenant. */
  readonly tenant?: string;
  /** The `turn`-th question: never the same twice, so that none is answered from another's answer. */
  readonly path: (turn: number) => string;
}

export class Asker {
  readonly times = new Histogram();
  answered = 0;
  /** Told to come later. */
  refused = 0;
  readonly #server: ServerAddress;
  readonly #options: AskerOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: UNDER_WAY_MAX });
  readonly #underWay = new Set<Promise<void>>();
  #isStopping = false;
  #measureFromMs = Number.POSITIVE_INFINITY;
  #loops: Promise<void>[] = [];
  #turn = 0;
  #failure: unknown;

  constructor(server: ServerAddress, options: AskerOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** Times count from when a question was due. */
  atRate(perSecond: number, warmupMs: number): void {
    this.#measureFromMs = performance.now() + warmupMs;
    const tick = async (): Promise<void> => {
      for (let due = performance.now(); !this.#isStopping; due += 1_000 / perSecond) {
        await sleep(Math.max(0, due - performance.now()));
        if (this.#underWay.size >= UNDER_WAY_MAX) continue;
        const one: Promise<void> = this.#ask(due).finally(() => this.#underWay.delete(one));
        this.#underWay.add(one);
      }
    };
    this.#loops = [tick()];
  }

  atATime(count: number, warmupMs: number): void {
    this.#measureFromMs = performance.now() + warmupMs;
    const loop = async (): Promise<void> => {
      while (!this.#isStopping) await this.#ask(performance.now());
    };
    this.#loops = Array.from({ length: count }, loop);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    await Promise.all(this.#underWay);
    this.#agent.destroy();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #ask(dueMs: number): Promise<void> {
    this.#turn += 1;
    try {
      const status = await this.#get(this.#options.path(this.#turn));
      if (status === 200) {
        this.answered += 1;
        if (dueMs >= this.#measureFromMs) this.times.record(performance.now() - dueMs);
      } else if (status === 429) {
        this.refused += 1;
        await sleep(50);
      } else throw new Error(`a question was answered ${status}`);
    } catch (error) {
      this.#failure ??= error;
      await sleep(50);
    }
  }

  #get(path: string): Promise<number> {
    const { tenant } = this.#options;
    return new Promise((resolve, reject) => {
      const asked = request(
        `${this.#server.url}${path}`,
        {
          agent: this.#agent,
          headers: {
            authorization: `Bearer ${this.#server.key}`,
            ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }),
          },
        },
        (answer) => {
          answer.resume();
          answer.once('end', () => resolve(answer.statusCode ?? 0));
          answer.once('error', reject);
        },
      );
      asked.once('error', reject);
      asked.end();
    });
  }
}
