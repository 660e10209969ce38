/**
 * How soon an acknowledged event is visible. At each tick two events leave at once on connections of their own, one
 * with ack=durable, the other with ack=stored: freshness is the time between the two answers. A sample of the
 * stored ones is looked for at once, because "stored" must mean that the next question sees it.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM } from './definitions.ts';
import { Histogram } from './histogram.ts';
import { countVisible } from './numbers.ts';
import type { BenchServer } from './server.ts';

const EVERY_MS = 100;
/** Each question costs the engine milliseconds; one probe in this many is enough to catch a lie. */
const LOOK_EVERY = 20;
const OUTSTANDING_MAX = 200;

export interface ProbeReport {
  /** Events that the probe itself had accepted. */
  readonly events: number;
  readonly samples: number;
  readonly times: Histogram;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Ticks at which too many probes were still waiting. */
  readonly skipped: number;
}

export class FreshnessProbe {
  readonly #server: BenchServer;
  readonly #everyMs: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: OUTSTANDING_MAX * 2 });
  readonly #fresh = new Histogram();
  readonly #outstanding = new Set<Promise<void>>();
  readonly #run = Date.now().toString(36);
  readonly #failures: unknown[] = [];
  #stopping = false;
  #measureFromMs = 0;
  #ticking: Promise<void> | undefined;
  #events = 0;
  #skipped = 0;
  #number = 0;

  constructor(server: BenchServer, { everyMs = EVERY_MS }: { readonly everyMs?: number } = {}) {
    this.#server = server;
    this.#everyMs = everyMs;
  }

  /** Events sent before `warmupMs` are over are verified and counted, but their times are not taken. */
  start(warmupMs: number): void {
    this.#measureFromMs = performance.now() + warmupMs;
    this.#ticking = this.#tick();
  }

  /** Waits for the probes under way; rejects when one failed or a stored event was not visible. */
  async stop(): Promise<ProbeReport> {
    this.#stopping = true;
    await this.#ticking;
    await Promise.all(this.#outstanding);
    this.#agent.destroy();
    if (this.#failures.length > 0) throw this.#failures[0];
    return {
      events: this.#events,
      samples: this.#fresh.count,
      times: this.#fresh,
      p50Ms: this.#fresh.quantile(0.5),
      p99Ms: this.#fresh.quantile(0.99),
      maxMs: this.#fresh.maxMs,
      skipped: this.#skipped,
    };
  }

  async #tick(): Promise<void> {
    for (let due = performance.now(); !this.#stopping; due += this.#everyMs) {
      await sleep(Math.max(0, due - performance.now()));
      if (this.#outstanding.size >= OUTSTANDING_MAX) {
        this.#skipped += 1;
        continue;
      }
      const probe: Promise<void> = this.#probe()
        .catch((error: unknown) => void this.#failures.push(error))
        .finally(() => this.#outstanding.delete(probe));
      this.#outstanding.add(probe);
    }
  }

  async #probe(): Promise<void> {
    this.#number += 1;
    const number = this.#number;
    const sentMs = performance.now();
    const key = `probe-${this.#run}-${number}`;
    const [durable, stored] = await Promise.all([
      this.#post('durable', `${key}-d`, 'probe'),
      this.#post('stored', `${key}-s`, key),
    ]);
    if (durable === undefined || stored === undefined) return;
    if (sentMs >= this.#measureFromMs) this.#fresh.record(Math.max(0, stored - durable));
    if (number % LOOK_EVERY !== 1) return;
    const seen = await countVisible(this.#server, `key:eq:${key}`);
    if (seen !== 1)
      throw new Error(`an event answered as stored was seen ${seen} times by the next question`);
  }

  /** When the answer came; undefined when the server said that it is too busy. */
  #post(ack: 'durable' | 'stored', id: string, key: string): Promise<number | undefined> {
    const body = JSON.stringify({
      id,
      ts: new Date().toISOString(),
      key,
      type: 'probe',
      country: 'ZZ',
      value: 1,
      payload: '',
    });
    return new Promise((resolve, reject) => {
      const req = request(
        `${this.#server.url}/v1/streams/${STREAM}/events?ack=${ack}`,
        {
          agent: this.#agent,
          method: 'POST',
          headers: {
            authorization: `Bearer ${this.#server.key}`,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
        },
        (res) => {
          const status = res.statusCode ?? 0;
          res.resume();
          res.once('end', () => {
            if (status >= 200 && status < 300) {
              this.#events += 1;
              resolve(performance.now());
            } else if (status === 429) resolve(undefined);
            else reject(new Error(`a probe with ack=${ack} was answered ${status}`));
          });
        },
      );
      req.once('error', reject);
      req.end(body);
    });
  }
}
