/** What Prometheus reads at `/metrics`. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface HttpMetrics {
  /** Notes one answered request. */
  done(route: string, status: number, elapsedMs: number): void;
}

export class Metrics implements HttpMetrics {
  readonly registry = new Registry();
  readonly #durations: Histogram<'route'>;
  readonly #observers = new Map<string, { observe(seconds: number): void }>();
  /** Plain numbers on the hot path; they become a metric only when somebody reads. */
  readonly #requests = new Map<string, Map<number, number>>();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.#durations = new Histogram({
      name: 'millrace_http_request_duration_seconds',
      help: 'Time from the head of a request to the end of its answer',
      labelNames: ['route'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [this.registry],
    });
    const requests = this.#requests;
    new Counter({
      name: 'millrace_http_requests_total',
      help: 'Answered requests',
      labelNames: ['route', 'status'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [route, byStatus] of requests) {
          for (const [status, count] of byStatus) this.inc({ route, status: String(status) }, count);
        }
      },
    });
  }

  done(route: string, status: number, elapsedMs: number): void {
    let byStatus = this.#requests.get(route);
    let observer = this.#observers.get(route);
    if (byStatus === undefined || observer === undefined) {
      byStatus = new Map();
      observer = this.#durations.labels(route);
      this.#requests.set(route, byStatus);
      this.#observers.set(route, observer);
    }
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    observer.observe(elapsedMs / 1_000);
  }

  /** A number that is looked up when somebody reads it. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }
}
