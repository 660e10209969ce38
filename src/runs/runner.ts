/**
 * Sees runs to their end. What a run is and how far it came stands in the catalog; here is only what moves it.
 *
 *   start ─▶ waiting ─place free─▶ executing ─▶ done │ cancelled
 *                                   │  ▲  └─ a failure that may pass: try again, later and later
 *                                   │  └── resume (the process came back)
 *                                   └─ failed for good: give up ─▶ failed
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Ids } from '../base/ids.ts';
import { Mutex } from '../base/mutex.ts';
import type { Catalog, Run, RunKind } from '../catalog/index.ts';
import { failureWords, isCatalogAway, mayPass, RunEnding } from './ending.ts';
import type { Execute, RunContext, RunOptions, Runs } from './port.ts';

export interface RunsOptions {
  readonly catalog: Pick<Catalog, 'runs'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: {
    info(details: object, message: string): void;
    error(details: object, message: string): void;
  };
}

const RUNS_AT_ONCE = 2;
const WAITING_MAX = 64;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 30_000;
/** Tries of one step, without a checkpoint between them, before a run fails for good (but one that must end): about three minutes. */
const TRIES_MAX = 12;

interface Live {
  run: Run;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  readonly end: () => void;
  /** Whether it has ever been executed, in this process or before: then there may be something to clean up. */
  begun: boolean;
  executing: boolean;
  committed: boolean;
  /** False until its first record is durable: nobody begins with it. */
  entered: boolean;
  /** Changes of its record go one after another, each from what the one before has left. */
  readonly changes: Mutex;
}

export function createRuns(options: RunsOptions): Runs {
  const { clock } = options;
  const records = options.catalog.runs;
  const kinds = new Map<RunKind, RunOptions & { readonly execute: Execute }>();
  /** Runs that have not ended, in the order they came. */
  const live = new Map<string, Live>();
  const driving = new Set<Promise<void>>();
  let stopped = false;
  const halt = new AbortController();

  const progress = (one: Live, change: Partial<Run['progress']>): void => {
    one.run = { ...one.run, progress: { ...one.run.progress, ...change }, updatedAtMs: clock.now() };
  };

  /** Durable first, then known: what is done next must be found by whoever comes after a crash. Call it within `changes`. */
  const record = async (one: Live, change: Partial<Run>): Promise<void> => {
    const changed = { ...change, updatedAtMs: clock.now() };
    await records.save({ ...one.run, ...changed });
    // Progress may have been noted meanwhile.
    one.run = { ...one.run, ...changed };
  };

  /** Tries until the end is recorded: nobody can be told of it before. */
  const recordEnd = async (one: Live, change: Partial<Run>): Promise<boolean> => {
    for (let wait = RETRY_MS_MIN; ; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
      try {
        await one.changes.run(() => record(one, { ...change, endedAtMs: clock.now() }));
        return true;
      } catch (err) {
        options.logger.error({ err, run: one.run.id }, 'the end of a run could not be recorded');
        if (!mayPass(err)) return false;
        await clock.sleep(wait, halt.signal);
        if (stopped) return false;
      }
    }
  };

  const finish = async (one: Live, change: Partial<Run>): Promise<void> => {
    const isRecorded = await recordEnd(one, change);
    live.delete(one.run.id);
    one.end();
    // The next process goes on with it.
    if (!isRecorded) return;
    const { id, kind, stream, subject, state, error } = one.run;
    const level = state === 'failed' ? 'error' : 'info';
    options.logger[level]({ run: id, kind, stream, subject, state, error }, `a run has ended: ${state}`);
  };

  const enter = (run: Run, begun: boolean): Live => {
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const one: Live = {
      ...{ run, abort: new AbortController(), ended, end },
      ...{ begun, executing: false, committed: false, entered: begun, changes: new Mutex() },
    };
    if (run.state === 'cancelling') one.abort.abort();
    live.set(run.id, one);
    return one;
  };

  const schedule = (): void => {
    for (const one of live.values()) {
      if (stopped || driving.size >= RUNS_AT_ONCE) return;
      const busy = [...live.values()].some(
        (other) =>
          other.executing && other.run.tenant === one.run.tenant && other.run.stream === one.run.stream,
      );
      if (one.executing || !one.entered || busy || !kinds.has(one.run.kind)) continue;
      drive(one, seeToItsEnd(one));
    }
  };

  const drive = (one: Live, work: Promise<void>): void => {
    one.executing = true;
    const driven = work.finally(() => {
      driving.delete(driven);
      one.executing = false;
      schedule();
    });
    driving.add(driven);
  };

  const contextOf = (one: Live, noteProgress: () => void): RunContext => ({
    signal: one.abort.signal,
    get cancelled() {
      return one.run.state === 'cancelling';
    },
    get checkpoint() {
      return one.run.checkpoint;
    },
    save: async (checkpoint) => {
      await one.changes.run(() => record(one, { checkpoint }));
      noteProgress();
    },
    progress: (change) => progress(one, change),
    // Behind a cancel that is on its way to the catalog.
    commit: () =>
      one.changes.run(async () => {
        if (one.abort.signal.aborted) throw new RunEnding();
        one.committed = true;
      }),
    throwIfEnding: () => {
      if (one.abort.signal.aborted) throw new RunEnding();
    },
  });

  const seeToItsEnd = async (one: Live): Promise<void> => {
    const { execute, giveUp, mustEnd } = kinds.get(one.run.kind)!;
    let tries = 0;
    const context = contextOf(one, () => {
      tries = 0;
    });
    one.begun = true;
    for (;;) {
      try {
        // The first step of a run must not run inside the call that started it.
        await Promise.resolve();
        const result = await execute(one.run, context);
        const cancelled = one.run.state === 'cancelling' && !one.committed;
        // Too late to cancel it: its end only has to be recorded.
        one.committed = true;
        return await finish(one, { state: cancelled ? 'cancelled' : 'done', result: result ?? null });
      } catch (error) {
        one.committed = false;
        if (stopped) return;
        if (context.cancelled && (error instanceof RunEnding || !mayPass(error))) {
          return await giveUpAndEnd(one, giveUp, { state: 'cancelled' });
        }
        // The catalog comes back some time, and nothing else can be known before.
        if (!isCatalogAway(error)) tries += 1;
        if (!mayPass(error) || (tries >= TRIES_MAX && !mustEnd)) {
          return await giveUpAndEnd(one, giveUp, { state: 'failed', error: failureWords(error, tries) });
        }
        const { id, kind, stream } = one.run;
        options.logger.error({ err: error, run: id, kind, stream, tries }, 'a run failed; trying again');
      }
      const wait = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.max(0, tries - 1));
      await clock.sleep(wait, context.cancelled ? halt.signal : one.abort.signal);
      if (stopped) return;
    }
  };

  const giveUpAndEnd = async (
    one: Live,
    giveUp: RunOptions['giveUp'],
    change: Partial<Run>,
  ): Promise<void> => {
    progress(one, { step: 'giving up' });
    await giveUp?.(one.run).catch((problem: unknown) =>
      options.logger.error({ err: problem, run: one.run.id }, 'what a run left could not be taken back'),
    );
    await finish(one, change);
  };

  const find = async (tenant: TenantId, id: string): Promise<Run> => {
    const run = await get(tenant, id);
    if (run) return run;
    throw new MillraceError(
      'not-found',
      `There is no run ${JSON.stringify(id)}. GET /v1/runs lists those that are remembered.`,
    );
  };
  const newId = (): string => textOf(options.ids.uuidV7(clock.now()));
  const get: Runs['get'] = async (tenant, id) => {
    const one = live.get(id);
    return one?.run.tenant === tenant ? one.run : records.get(tenant, id);
  };

  const cancel: Runs['cancel'] = async (tenant, id) => {
    const run = await find(tenant, id);
    const one = live.get(id);
    if (!one) return run;
    return one.changes.run(async () => {
      if (one.run.state !== 'running') return one.run;
      if (one.committed || kinds.get(run.kind)?.mustEnd) {
        throw new MillraceError(
          'conflict',
          'the run is making its result final, or must come to its end: it cannot be cancelled',
        );
      }
      await record(one, { state: 'cancelling' });
      one.abort.abort();
      // One that waits for its turn need not wait for it to end; what the process stops with, the next one ends.
      if (!one.begun && one.entered && !stopped)
        drive(one, giveUpAndEnd(one, kinds.get(run.kind)?.giveUp, { state: 'cancelled' }));
      return one.run;
    });
  };

  return {
    register(kind, execute, options = {}) {
      kinds.set(kind, { execute, ...options });
      schedule();
    },

    newId,

    async start({ tenant, kind, stream, subject, request, id = newId() }) {
      if (stopped) {
        throw stopping();
      }
      if (!kinds.has(kind)) throw new Error(`nobody does runs of kind ${kind}`);
      if (live.size >= WAITING_MAX) {
        throw new MillraceError(
          'too-busy',
          `${live.size} runs are waiting already; wait until some have ended (GET /v1/runs?state=running) or cancel one`,
          { retryAfterSeconds: 10 },
        );
      }
      const now = clock.now();
      const run: Run = {
        ...{ id, tenant, kind, stream, subject, state: 'running', request },
        ...{ checkpoint: null, progress: { done: 0, total: 0, unit: 'events', step: 'waiting' } },
        ...{ result: null, error: null, startedAtMs: now, updatedAtMs: now, endedAtMs: undefined },
      };
      // Known before it is durable, so that two who start the same find each other.
      const one = enter(run, false);
      try {
        await records.save(run);
      } catch (error) {
        live.delete(run.id);
        one.end();
        throw error;
      }
      one.entered = true;
      schedule();
      return one.run;
    },

    async resume(isGone = () => false) {
      for (const run of await records.unended()) {
        if (!live.has(run.id) && !isGone(run.tenant)) enter(run, true);
      }
      schedule();
    },

    get,
    list: async (tenant, filter = {}) => {
      // What is in memory is newer than the record: progress, and a record of the same state otherwise.
      return (await records.list(tenant, filter)).map((run) => live.get(run.id)?.run ?? run);
    },
    unended: (tenant, { stream, kind, state } = {}) =>
      [...live.values()]
        .map(({ run }) => run)
        .filter(
          (run) =>
            run.tenant === tenant &&
            (stream === undefined || run.stream === stream) &&
            (kind === undefined || run.kind === kind) &&
            (state === undefined || run.state === state),
        ),
    counts: (tenant) => records.counts(tenant),

    cancel,

    async endAll(tenant) {
      for (;;) {
        const own = [...live.values()].filter(({ run }) => run.tenant === tenant);
        if (own.length === 0) return;
        if (stopped) throw stopping();
        for (const one of own) if (!one.committed) await cancel(tenant, one.run.id);
        await Promise.all(own.map(({ ended }) => ended));
      }
    },

    async wait(tenant, id, timeoutMs) {
      await find(tenant, id);
      const one = live.get(id);
      if (one) {
        const enough = new AbortController();
        await Promise.race([one.ended, clock.sleep(timeoutMs, enough.signal)]);
        enough.abort();
      }
      return find(tenant, id);
    },

    async stop() {
      stopped = true;
      halt.abort();
      for (const one of live.values()) one.abort.abort();
      await Promise.all(driving);
      for (const one of live.values()) one.end();
    },
  };
}

const stopping = (): MillraceError =>
  new MillraceError('stopping', 'the server is stopping; try again later', { retryAfterSeconds: 5 });

function textOf(uuid: Uint8Array): string {
  const hex = Buffer.from(uuid).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
