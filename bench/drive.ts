/**
 * Drives a server: as fast as it answers (closed loop), or on a fixed schedule (open loop), where a latency counts
 * from the moment at which the request was due, so that a server that stalls cannot hide it by slowing us down.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Stamp } from './events.ts';
import { Histogram } from './histogram.ts';
import { type Answer, HttpConnection } from './http-connection.ts';
import type { LoadOptions, LoadReport } from './load-options.ts';
import { Random } from './random.ts';
import { Numbering, type PreparedRequest, prepareRequests } from './requests.ts';

const CONNECT_MS = 10_000;
/** How long answers may still come after the last request. */
const DRAIN_MS = 30_000;
const REFUSED_WAIT_MS_MIN = 50;
const REFUSED_WAIT_MS_MAX = 1_000;

export async function drive(options: LoadOptions): Promise<LoadReport> {
  const run = new Drive(options);
  return run.run();
}

class Drive {
  readonly #options: LoadOptions;
  readonly #idleRequests: PreparedRequest[];
  readonly #idleConnections: HttpConnection[] = [];
  readonly #connections: HttpConnection[];
  readonly #stamp: Stamp;
  readonly #numbering: Numbering;
  readonly #latency = new Histogram();
  #stopped = false;
  #underWay = 0;
  /** Fixed rate: requests due so far, and those of them that were sent. */
  #due = 0;
  #begun = 0;
  #startMs = 0;
  #measureFromMs = 0;
  #measureToMs = 0;
  #measured = 0;
  #sent = 0;
  #accepted = 0;
  #duplicates = 0;
  #ok = 0;
  #refused = 0;
  #other = 0;
  readonly #otherStatuses = new Set<number>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#idleRequests = prepareRequests(options);
    this.#stamp = new Stamp(options.run, options.run + 1);
    const random = new Random(options.run + 3);
    this.#numbering = new Numbering(options.duplicates, () => random.next());
    const { hostname, port } = new URL(options.url);
    const target = { host: hostname, port: Number(port) };
    this.#connections = Array.from({ length: options.connections }, () => new HttpConnection(target));
  }

  async run(): Promise<LoadReport> {
    const { warmupSeconds, seconds } = this.#options;
    await this.#connect();
    this.#stamp.setTime(Date.now());
    const clock = setInterval(() => this.#stamp.setTime(Date.now()), 20);
    const startedAtMs = Date.now();
    this.#startMs = performance.now();
    this.#measureFromMs = this.#startMs + warmupSeconds * 1_000;
    this.#measureToMs = this.#measureFromMs + seconds * 1_000;
    this.#idleConnections.push(...this.#connections);
    const timer = this.#begin();
    await sleep(warmupSeconds * 1_000);
    const cpuBefore = process.cpuUsage();
    const before = performance.now();
    await sleep(this.#measureToMs - before);
    const cpu = process.cpuUsage(cpuBefore);
    const elapsedMs = performance.now() - before;
    this.#stopped = true;
    clearInterval(timer);
    const overdue = this.#due - this.#begun;
    this.#noteOverdue();
    const giveUp = performance.now() + DRAIN_MS;
    while (this.#underWay > 0 && performance.now() < giveUp) await sleep(5);
    clearInterval(clock);
    for (const connection of this.#connections) connection.close();
    return {
      startedAtMs,
      sentEvents: this.#sent,
      acceptedEvents: this.#accepted,
      duplicateEvents: this.#duplicates,
      answered2xx: this.#ok,
      answered429: this.#refused,
      answeredOther: this.#other,
      otherStatuses: [...this.#otherStatuses].sort((a, b) => a - b),
      unanswered: this.#underWay,
      overdueEvents: overdue * this.#options.batch,
      seconds,
      eventsPerSecond: (this.#measured * this.#options.batch) / seconds,
      requestsPerSecond: this.#measured / seconds,
      p50Ms: this.#latency.quantile(0.5),
      p99Ms: this.#latency.quantile(0.99),
      maxMs: this.#latency.maxMs,
      cpuCores: (cpu.user + cpu.system) / 1_000 / elapsedMs,
    };
  }

  async #connect(): Promise<void> {
    const giveUp = performance.now() + CONNECT_MS;
    while (!this.#connections.every((connection) => connection.connected)) {
      if (performance.now() > giveUp) throw new Error(`${this.#options.url} does not take our connections`);
      await sleep(5);
    }
  }

  #begin(): NodeJS.Timeout | undefined {
    const { rate, batch } = this.#options;
    if (rate === 'max') {
      for (const connection of this.#idleConnections.splice(0)) this.#send(connection, performance.now());
      return undefined;
    }
    const perMs = rate / batch / 1_000;
    return setInterval(() => {
      this.#due = Math.floor((performance.now() - this.#startMs) * perMs);
      this.#sendDue();
    }, 1);
  }

  #sendDue(): void {
    while (this.#begun < this.#due && !this.#stopped) {
      // In turns: the server closes a connection that was opened and asks nothing for 15 s, which may be just when it is asked.
      const connection = this.#idleConnections.shift();
      if (!connection) return;
      this.#send(connection, this.#dueAt(this.#begun));
      this.#begun += 1;
    }
  }

  #dueAt(request: number): number {
    const { rate, batch } = this.#options;
    return this.#startMs + ((request + 1) * batch * 1_000) / (rate as number);
  }

  #send(connection: HttpConnection, dueMs: number): void {
    const request = this.#idleRequests.shift()!;
    const range = this.#numbering.stamp(request, this.#stamp);
    this.#underWay += 1;
    this.#sent += this.#options.batch;
    connection.send(request.bytes, (answer) => {
      this.#underWay -= 1;
      this.#idleRequests.push(request);
      this.#note(answer, range, dueMs);
      this.#goOn(connection, answer);
    });
  }

  #note(answer: Answer, range: { readonly from: number; readonly count: number }, dueMs: number): void {
    const now = performance.now();
    if (answer.status >= 200 && answer.status < 300) {
      this.#ok += 1;
      this.#accepted += this.#options.batch;
      this.#duplicates += this.#options.batch - range.count;
      this.#numbering.acknowledge(range);
      if (now >= this.#measureFromMs && now < this.#measureToMs) this.#measured += 1;
    } else if (answer.status === 429) this.#refused += 1;
    else {
      this.#other += 1;
      this.#otherStatuses.add(answer.status);
    }
    if (dueMs >= this.#measureFromMs && dueMs < this.#measureToMs) this.#latency.record(now - dueMs);
  }

  /** What was due and could not even be sent has waited at least until now: leaving it out would flatter the server. */
  #noteOverdue(): void {
    for (let request = this.#begun; request < this.#due; request += 1) {
      const dueMs = this.#dueAt(request);
      if (dueMs >= this.#measureFromMs) this.#latency.record(performance.now() - dueMs);
    }
  }

  #goOn(connection: HttpConnection, answer: Answer): void {
    if (this.#stopped) return;
    if (answer.status === 429) {
      const asked = (answer.retryAfterSeconds ?? 0) * 1_000;
      const wait = Math.min(REFUSED_WAIT_MS_MAX, Math.max(REFUSED_WAIT_MS_MIN, asked));
      setTimeout(() => this.#next(connection), wait);
    } else this.#next(connection);
  }

  #next(connection: HttpConnection): void {
    if (this.#stopped) return;
    if (this.#options.rate === 'max') this.#send(connection, performance.now());
    else {
      this.#idleConnections.push(connection);
      this.#sendDue();
    }
  }
}
