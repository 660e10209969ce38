import { parseDuration } from '../base/duration.ts';
import {
  type Accepted,
  type CountQuestion,
  createClient,
  type Integer,
  type MillraceClient,
  type RowOf,
  type StatsAnswer,
  type StatsQuestion,
  type StoredEvent,
} from '../client/index.ts';
import { DEFINITION_KINDS, type ProjectDocuments, pluralOf } from '../define/index.ts';
import type { CrashPoint } from './crash-points.ts';
import { documentsOf, notOfProject, type ProjectUnderTest } from './documents.ts';
import { injectFetch, NOWHERE } from './inject-fetch.ts';
import { Installation, OPERATOR_KEY } from './installation.ts';
import type { Delivery, Mail, Webhook } from './outside.ts';
import {
  type Firing,
  type ReportRun,
  reportResult,
  reportRuns,
  runReport,
  type WindowResult,
  whyNothing,
  windowResults,
} from './results.ts';
import { type TestTable, tableOf } from './table.ts';

export interface TestProjectOptions {
  /** What the clock shows at the beginning, and after `reset`. Default 2024-01-01T00:00:00Z. */
  readonly now?: string | number | Date;
  /** Settings by name (`MILLRACE_…`), as in the environment, which is not read. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Limits of the tenant whose project this is: `{ eventsPerSecond: 100 }`. */
  readonly limits?: Readonly<Record<string, number>>;
}

/**
 * A project over the real system in this process, under a clock that stands until the test moves it. Opens no port and
 * never sleeps; keeps its files in a directory of its own and removes them with `close`. One per process at a time.
 *
 * Applies the definitions, or fails as `millrace apply` would.
 *
 * @example
 * import { testProject } from 'millrace/testing';
 * import * as project from '../millrace.config.ts';
 *
 * const app = await testProject(project, { now: '2026-03-01T12:00:00Z' });
 * await app.send('orders', [{ order_id: 'a', at: app.now(), amount: '19.99' }]);
 * await app.advance('5m');
 * await app.count('orders'); // 1
 * await app.close();
 */
export async function testProject(
  project: ProjectUnderTest,
  options: TestProjectOptions = {},
): Promise<TestProject> {
  const documents = documentsOf(project);
  const startMs = new Date(options.now ?? '2024-01-01T00:00:00Z').getTime();
  if (Number.isNaN(startMs)) throw new Error(`now: ${JSON.stringify(options.now)} is no time`);
  const installation = await Installation.open({ startMs, settings: options.settings ?? {} });
  const app = new TestProject({ installation, documents, startMs, limits: options.limits ?? {} });
  try {
    await app.reset();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

const PAGE = 1_000;

interface TestProjectParts {
  readonly installation: Installation;
  readonly documents: ProjectDocuments;
  readonly startMs: number;
  readonly limits: Readonly<Record<string, number>>;
}

/** Made by `testProject`. */
export class TestProject {
  readonly #installation: Installation;
  readonly #documents: ProjectDocuments;
  readonly #startMs: number;
  readonly #limits: Readonly<Record<string, number>>;
  readonly #operator: MillraceClient;
  #client: MillraceClient;
  #tenants = 0;

  constructor({ installation, documents, startMs, limits }: TestProjectParts) {
    this.#installation = installation;
    this.#documents = documents;
    this.#startMs = startMs;
    this.#limits = limits;
    this.#operator = this.#clientFor(undefined);
    this.#client = this.#operator;
  }

  /** What `millrace/client` gives, for everything that is not said here; it talks to the system in this process. */
  get client(): MillraceClient {
    return this.#client;
  }

  /** The name of the tenant whose project this is; another one after each `reset`. */
  get tenant(): string {
    return `test_${this.#tenants}`;
  }

  /** What the clock shows. */
  now(): Date {
    return new Date(this.#installation.clock.now());
  }

  /**
   * Sends events, in this order, and settles: everything that follows from them at this moment has happened. Resolves
   * with what became of them (`accepted`, `stored`, `duplicates`, `late`, `quarantined`, `rejected` with `errors`).
   * Fails when the system crashes before they are acknowledged; then it is unknown whether they are there, as it is for
   * a producer, who sends them again.
   */
  async send(stream: string, events: Iterable<object>): Promise<Accepted> {
    const { eventId } = (this.#documents.streams[stream] ?? {}) as { readonly eventId?: string };
    const accepted = await this.#installation.during(() =>
      this.#client.processEvents(stream, events, { ack: 'stored', idField: eventId, concurrency: 1 }),
    );
    await this.settle();
    return accepted;
  }

  /**
   * Moves the clock: whoever sleeps until then is woken in order, and everything settles in between. `'5m'`, or ms.
   *
   * @example
   * await app.advance('1h');
   */
  advance(by: string | number): Promise<void> {
    const ms = typeof by === 'number' ? by : parseDuration(by);
    if (ms === undefined || !(ms >= 0))
      throw new Error(`advance: ${JSON.stringify(by)} is no duration; write '5m'`);
    return this.#installation.advance(ms);
  }

  /** Moves the clock to a time that is not before the one it shows. */
  advanceTo(time: string | number | Date): Promise<void> {
    const ms = new Date(time).getTime() - this.#installation.clock.now();
    if (!(ms >= 0)) throw new Error(`advanceTo: ${String(time)} is not after ${this.now().toISOString()}`);
    return this.#installation.advance(ms);
  }

  /** The wall clock is set, forward or back, as people and time servers do: no time passes, nobody wakes. */
  setClock(time: string | number | Date): Promise<void> {
    const ms = new Date(time).getTime();
    if (Number.isNaN(ms)) throw new Error(`setClock: ${JSON.stringify(time)} is no time`);
    this.#installation.clock.set(ms);
    return this.settle();
  }

  /**
   * Resolves when nothing is under way any more: everything is applied, and all that follows from it at this moment has
   * happened. Fails with what the system reported as an error meanwhile.
   */
  settle(): Promise<void> {
    return this.#installation.settle();
  }

  /** As `client.getStats`. */
  stats<const Q extends StatsQuestion = { fn: 'count' }>(
    stream: string,
    question?: Q,
  ): Promise<StatsAnswer<RowOf<Q>>> {
    return this.#installation.during(() => this.#client.getStats<Q>(stream, question));
  }

  /** How many events, of all times unless the question says otherwise. */
  count(stream: string, question: CountQuestion = {}): Promise<Integer> {
    return this.#installation.during(() => this.#client.getCount(stream, question));
  }

  /** All stored events of a stream, oldest first. */
  async events(stream: string): Promise<readonly StoredEvent[]> {
    const found: StoredEvent[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await this.#installation.during(() =>
        this.#client.events(stream, { limit: PAGE, cursor }),
      );
      found.push(...page.events);
      if (page.next_cursor === null) return found.reverse();
      cursor = page.next_cursor;
    }
  }

  /** Rows of a question in SQL. */
  async sql<Row = Readonly<Record<string, unknown>>>(query: string): Promise<readonly Row[]> {
    const text = await this.#installation.during(() => this.#client.sql(query, { format: 'ndjson' }));
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
  }

  /**
   * What a window has told, in the order of time: of each window and key the newest version, or every one.
   *
   * @example
   * await app.advance('6m');
   * (await app.window('alarms')).map((one) => [one.window_start, one.station_id, one.alarms, one.status]);
   */
  async window(name: string, versions: 'latest' | 'all' = 'latest'): Promise<readonly WindowResult[]> {
    return this.#asking('windows', name, () => windowResults(this.#client, name, versions));
  }

  /**
   * As `window`, for a test that expects results: fails when there are none, and says up to where the window has come and
   * what it waits for.
   *
   * @example
   * const [first] = await app.closed('alarms');
   */
  async closed(name: string): Promise<readonly [WindowResult, ...WindowResult[]]> {
    const [first, ...more] = await this.window(name);
    if (first) return [first, ...more];
    throw new Error(
      await this.#installation.during(() =>
        whyNothing(this.#client, (this.#documents.windows[name] ?? {}) as object, { name, now: this.now() }),
      ),
    );
  }

  /** When a trigger began to fire, and when it ended to, in the order of time. */
  async firings(name: string): Promise<readonly Firing[]> {
    return (await this.#asking('triggers', name, () =>
      this.events(name),
    )) as readonly unknown[] as readonly Firing[];
  }

  /** Runs a report now, about the newest period that has ended or the one that is named; its answers by question. */
  async report(
    name: string,
    question: {
      readonly from?: string | number;
      readonly to?: string | number;
      readonly parameters?: object;
    } = {},
  ): Promise<{ readonly run: ReportRun; readonly result: unknown }> {
    return this.#asking('reports', name, () => runReport(this.#client, name, question));
  }

  /** Every run of a report: on schedule, by triggers, on demand; the oldest period first. */
  async runs(name: string): Promise<readonly ReportRun[]> {
    return this.#asking('reports', name, () => reportRuns(this.#client, name));
  }

  /** What a run answered, as its JSON document has it. */
  result(name: string, id: string): Promise<unknown> {
    return this.#installation.during(() => reportResult(this.#client, name, id));
  }

  /**
   * The webhooks and mails that have left, in their order; none of them reaches anybody.
   *
   * @example
   * app.deliveries().map((one) => one.kind === 'email' && one.subject); // ['Alarms at station 4']
   */
  deliveries(): readonly Delivery[] {
    return this.#installation.outside.sentBy(this.tenant);
  }

  /**
   * The mails among the deliveries.
   *
   * @example
   * app.mails().map((one) => one.subject); // ['Alarms at station 4']
   */
  mails(): readonly Mail[] {
    return this.deliveries().filter((one) => one.kind === 'email');
  }

  /**
   * The webhooks among the deliveries.
   *
   * @example
   * app.webhooks().map((one) => one.type); // ['trigger.firing', 'trigger.resolved']
   */
  webhooks(): readonly Webhook[] {
    return this.deliveries().filter((one) => one.kind === 'webhook');
  }

  /**
   * Rows of a dimension table.
   *
   * @example
   * await app.table('channels').put([{ channel_id: 'a', country: 'de' }]);
   */
  table(name: string): TestTable {
    return tableOf(this.#client, name, (work) => this.#asking('tables', name, work));
  }

  /** From now on every try to deliver fails for this reason, and is repeated as time goes by; `undefined`: no longer. */
  failDeliveries(reason: string | undefined): void {
    this.#installation.outside.fail(reason);
  }

  /**
   * The process dies where it is: nothing is finished, nothing is said goodbye to, requests that are under way fail. Then
   * it starts again on the same directory. The clock goes on from where it stood.
   *
   * `at` a point: it dies when it comes there while `during` is done, and whatever that fails with is expected. Fails when
   * it does not come there.
   *
   * @example
   * await app.crash({ at: 'stored', during: () => app.send('orders', orders) });
   * await app.send('orders', orders); // as a producer would that has not heard: they are duplicates
   */
  async crash(when?: { readonly at: CrashPoint; readonly during: () => Promise<unknown> }): Promise<void> {
    if (!when) return this.#installation.crash();
    if (await this.#installation.crashAt(when.at, when.during)) return;
    throw new Error(`crash: the system did not come to "${when.at}" meanwhile`);
  }

  /** The same project without events, for the next test: a tenant of its own, and the clock as at the beginning. */
  async reset(): Promise<void> {
    if (this.#tenants > 0) await this.#operator.tenants.put(this.tenant, { state: 'suspended' } as never);
    await this.settle();
    this.#installation.clock.set(this.#startMs);
    this.failDeliveries(undefined);
    this.#tenants += 1;
    await this.#operator.tenants.put(this.tenant, { limits: this.#limits });
    this.#client = this.#clientFor(this.tenant);
    for (const kind of DEFINITION_KINDS) {
      for (const [name, document] of Object.entries(this.#documents[pluralOf(kind)]))
        await this.#client.put(kind, name, document as object);
    }
    await this.settle();
  }

  /** Ends the system and removes its files. */
  close(): Promise<void> {
    return this.#installation.close();
  }

  /** What the project does not have may have been made by hand: only when the answer fails it is told what there is. */
  async #asking<T>(kind: keyof ProjectDocuments, name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#installation.during(work);
    } catch (cause) {
      const mistake = notOfProject(this.#documents, kind, name);
      throw mistake === undefined ? cause : new Error(mistake, { cause });
    }
  }

  #clientFor(tenant: string | undefined): MillraceClient {
    return createClient({
      url: NOWHERE,
      key: OPERATOR_KEY,
      tenant,
      fetch: injectFetch(() => this.#installation.inject),
      clock: this.#installation.clock,
      // What would wait for a clock that stands is told at once.
      retry: { attemptsMax: 1 },
    });
  }
}
