import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT as TENANT } from '../../src/base/brand.ts';
import { type Clock, ManualClock } from '../../src/base/clock.ts';
import { MillraceError } from '../../src/base/errors.ts';
import { countingIds, systemIds } from '../../src/base/ids.ts';
import { type Catalog, ENDED_RUNS_MAX, openCatalog } from '../../src/catalog/index.ts';
import { createRuns, type Execute, type RunContext, type Runs } from '../../src/runs/index.ts';

/** Time stands still, but nobody waits. */
const hasty: Clock = { ...clockAt(5_000), sleep: () => new Promise((resolve) => setImmediate(resolve)) };
function clockAt(now: number): Clock {
  const clock = new ManualClock(now);
  return {
    now: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, s) => clock.sleep(ms, s),
  };
}
const logger = { info: () => undefined, error: () => undefined };

let directory: string;
let catalog: Catalog;
const begun: Runs[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-runs-'));
  catalog = await openCatalog(join(directory, 'catalog.sqlite'), hasty);
});
afterEach(async () => {
  for (const runs of begun.splice(0)) await runs.stop();
  await catalog.close();
  rmSync(directory, { recursive: true });
});

const ids = countingIds();
function runsThat(execute: Execute, giveUp?: () => Promise<void>, clock: Clock = hasty): Runs {
  const runs = createRuns({ catalog, clock, ids, logger });
  runs.register('replay', execute, giveUp ? { giveUp } : {});
  begun.push(runs);
  return runs;
}
const request = { tenant: TENANT, kind: 'replay', stream: 's', request: { a: 1 } } as const;
const endOf = (runs: Runs, id: string) => runs.wait(TENANT, id, 2 ** 31);
/** Waits for ever with the clock that does not move. */
const patient = clockAt(5_000);

/** Work that goes on until it is let go, and tells what happens to it. */
function gated() {
  const going: { stream: string; context: RunContext; let: (result?: unknown) => void }[] = [];
  const execute: Execute = (run, context) =>
    new Promise((resolve, reject) => {
      going.push({ stream: run.stream, context, let: resolve });
      if (context.signal.aborted) reject(new Error('ended'));
      context.signal.addEventListener('abort', () => reject(new Error('ended')), { once: true });
    });
  return { going, execute };
}
const settle = async () => {
  for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('a run', () => {
  it('that must end is tried until it does, however often it fails for now', async () => {
    const runs = createRuns({ catalog, clock: hasty, ids, logger });
    begun.push(runs);
    let tries = 0;
    const execute: Execute = async () => {
      tries += 1;
      if (tries < 50) throw new MillraceError('store-unavailable', 'not yet');
      return { tries };
    };
    runs.register('delete-tenant', execute, { mustEnd: true });
    const { id } = await runs.start({ ...request, kind: 'delete-tenant' });
    await expect.poll(() => runs.get(TENANT, id)).toMatchObject({ state: 'done', result: { tries: 50 } });
  });

  it('that is cancelled while the process stops is left to the next, with all that it has begun', async () => {
    let hasSaved = (): void => undefined;
    let saved: Promise<void> | undefined;
    const slow: Pick<Catalog, 'runs'> = {
      runs: {
        ...catalog.runs,
        save: async (run) => {
          if (run.state === 'cancelling') await saved;
          return catalog.runs.save(run);
        },
      },
    };
    const runs = createRuns({ catalog: slow, clock: patient, ids, logger });
    let givenUp = 0;
    runs.register('replay', gated().execute, {
      giveUp: async () => {
        givenUp += 1;
      },
    });
    await runs.start(request);
    // One at a time on a stream: it waits.
    const waiting = await runs.start(request);
    saved = new Promise((resolve) => {
      hasSaved = resolve;
    });
    const cancelled = runs.cancel(TENANT, waiting.id);
    await settle();
    await runs.stop();
    hasSaved();
    expect((await cancelled).state).toBe('cancelling');
    await settle();
    expect(givenUp).toBe(0);
    expect((await catalog.runs.get(TENANT, waiting.id))?.state).toBe('cancelling');
  });

  it('is entered before it begins, and its result is kept', async () => {
    const runs = runsThat(async (run) => ({ saw: run.request }), undefined, patient);
    const run = await runs.start({ ...request, subject: 'x' });
    expect(run).toMatchObject({ state: 'running', subject: 'x', checkpoint: null, endedAtMs: undefined });
    expect(run.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    expect(await catalog.runs.unended()).toEqual([run]);
    const ended = await endOf(runs, run.id);
    expect(ended).toMatchObject({ state: 'done', result: { saw: { a: 1 } }, error: null });
    expect(await catalog.runs.get(TENANT, run.id)).toEqual(ended);
    expect(await runs.counts(TENANT)).toEqual([{ kind: 'replay', state: 'done', count: 1 }]);
  });

  it('shows how far it is, and a wait that is over tells how it stands', async () => {
    const runs = runsThat(async (_, context) => {
      context.progress({ done: 3, total: 10, step: 'reading' });
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
      context.throwIfEnding();
    });
    const { id } = await runs.start(request);
    await settle();
    expect(await runs.wait(TENANT, id, 1)).toMatchObject({
      state: 'running',
      progress: { done: 3, total: 10, unit: 'events', step: 'reading' },
    });
    expect(await runs.list(TENANT, { stream: 's', state: 'running' })).toMatchObject([
      { progress: { done: 3 } },
    ]);
    expect(await runs.list(TENANT, { stream: 'other' })).toEqual([]);
  });

  it('is tried again after a failure that may pass, from its checkpoint', async () => {
    const seen: unknown[] = [];
    const runs = runsThat(
      async (_, context) => {
        seen.push(context.checkpoint);
        if (seen.length < 4) {
          await context.save({ at: seen.length });
          throw new MillraceError('store-unavailable', 'the store is away');
        }
        return 'ok';
      },
      undefined,
      { ...hasty },
    );
    const { id } = await runs.start(request);
    while ((await runs.get(TENANT, id))?.state === 'running') await settle();
    expect(await runs.get(TENANT, id)).toMatchObject({ state: 'done', result: 'ok' });
    expect(seen).toEqual([null, { at: 1 }, { at: 2 }, { at: 3 }]);
  });

  it('fails in words and gives up what it left, at once when trying again is no use, after many tries else', async () => {
    for (const [error, words] of [
      [new MillraceError('conflict', 'it does not fit'), /^it does not fit$/],
      [new TypeError('x is not a function'), /something broke on our side: x is not a function/],
      [new MillraceError('store-unavailable', 'the store is away'), /the store is away \(after 12 tries/],
    ] as const) {
      let gaveUp = 0;
      const runs = runsThat(
        async () => {
          throw error;
        },
        async () => {
          gaveUp += 1;
        },
      );
      const { id } = await runs.start(request);
      while ((await runs.get(TENANT, id))?.state === 'running') await settle();
      expect(await runs.get(TENANT, id)).toMatchObject({
        state: 'failed',
        error: expect.stringMatching(words),
      });
      expect(gaveUp).toBe(1);
    }
  });

  it('that is cancelled sees it, cleans up, and is cancelled then', async () => {
    let cleaned = false;
    const runs = runsThat(
      async (_, context) => {
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
        expect(context.cancelled).toBe(true);
        await settle();
        cleaned = true;
        context.throwIfEnding();
      },
      undefined,
      patient,
    );
    const { id } = await runs.start(request);
    await settle();
    expect((await runs.cancel(TENANT, id)).state).toBe('cancelling');
    expect((await runs.cancel(TENANT, id)).state).toBe('cancelling');
    expect(await endOf(runs, id)).toMatchObject({ state: 'cancelled', error: null });
    expect(cleaned).toBe(true);
    expect((await runs.cancel(TENANT, id)).state).toBe('cancelled');
  });

  it('cannot be cancelled past its point of no return', async () => {
    let go = () => {};
    const runs = runsThat(
      async (_, context) => {
        await context.commit();
        await new Promise<void>((resolve) => {
          go = resolve;
        });
        return 'final';
      },
      undefined,
      patient,
    );
    const { id } = await runs.start(request);
    await settle();
    await expect(runs.cancel(TENANT, id)).rejects.toMatchObject({ code: 'conflict' });
    go();
    expect(await endOf(runs, id)).toMatchObject({ state: 'done', result: 'final' });
  });

  it('that waits is cancelled without ever having begun', async () => {
    const { going, execute } = gated();
    const runs = runsThat(execute, undefined, patient);
    await runs.start(request);
    const second = await runs.start(request);
    await settle();
    expect((await runs.cancel(TENANT, second.id)).state).toBe('cancelling');
    expect((await endOf(runs, second.id)).state).toBe('cancelled');
    expect(going).toHaveLength(1);
  });

  it('nobody knows is told apart from one that has ended', async () => {
    const runs = runsThat(async () => 1);
    await expect(runs.cancel(TENANT, 'nope')).rejects.toMatchObject({ code: 'not-found' });
    await expect(runs.wait(TENANT, 'nope', 0)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('runs together', () => {
  it('go one at a time on a stream, two at a time over all, in the order they came', async () => {
    const { going, execute } = gated();
    const runs = runsThat(execute, undefined, patient);
    for (const stream of ['a', 'a', 'b', 'c']) await runs.start({ ...request, stream });
    await settle();
    expect(going.map((one) => one.stream)).toEqual(['a', 'b']);
    going[1]!.let();
    await settle();
    expect(going.map((one) => one.stream)).toEqual(['a', 'b', 'c']);
    going[0]!.let();
    await settle();
    expect(going.map((one) => one.stream)).toEqual(['a', 'b', 'c', 'a']);
  });

  it('are refused when too many wait', async () => {
    const runs = runsThat(gated().execute, undefined, patient);
    for (let i = 0; i < 64; i += 1) await runs.start(request);
    await expect(runs.start(request)).rejects.toMatchObject({ code: 'too-busy' });
  });

  it('are forgotten, the oldest first, when many have ended', async () => {
    const now = { startedAtMs: 1, updatedAtMs: 1, endedAtMs: 1 };
    const runs = runsThat(async () => 1);
    const progress = { done: 0, total: 0, unit: 'events', step: '' } as const;
    const one = {
      ...request,
      ...now,
      subject: undefined,
      checkpoint: null,
      progress,
      result: null,
      error: null,
    };
    for (let i = 0; i < ENDED_RUNS_MAX + 5; i += 1) {
      await catalog.runs.save({ ...one, id: String(i).padStart(6, '0'), state: 'done' });
    }
    expect(await runs.counts(TENANT)).toEqual([{ kind: 'replay', state: 'done', count: ENDED_RUNS_MAX }]);
    expect(await runs.get(TENANT, '000004')).toBeUndefined();
    expect(await runs.get(TENANT, '000005')).toBeDefined();
  });
});

describe('a process that ends', () => {
  it('leaves its runs running, and the next one goes on from their checkpoints', async () => {
    const { going, execute } = gated();
    const first = runsThat(execute, undefined, patient);
    const [one, two] = [await first.start(request), await first.start(request)];
    await settle();
    await going[0]!.context.save({ upTo: 7 });
    await first.stop();
    await expect(first.start(request)).rejects.toMatchObject({ code: 'stopping' });
    expect((await catalog.runs.unended()).map((run) => [run.id, run.state, run.checkpoint])).toEqual([
      [one.id, 'running', { upTo: 7 }],
      [two.id, 'running', null],
    ]);
    const seen: unknown[] = [];
    const next = runsThat(async (run) => void seen.push(run.checkpoint), undefined, patient);
    await next.resume();
    await endOf(next, two.id);
    expect(seen).toEqual([{ upTo: 7 }, null]);
    expect((await next.get(TENANT, one.id))?.state).toBe('done');
  });

  it('does not forget that a run was being cancelled', async () => {
    const { execute } = gated();
    const first = createRuns({ catalog, clock: patient, ids: systemIds, logger });
    // Killed while it cleans up: it never comes to an end.
    first.register('replay', () => new Promise(() => undefined));
    const { id } = await first.start(request);
    await settle();
    await first.cancel(TENANT, id);
    const next = runsThat(execute, undefined, patient);
    await next.resume();
    expect(await endOf(next, id)).toMatchObject({ state: 'cancelled' });
  });
});
