/** The results of a step, of sessions: keys in pages; of each key the sessions that the step closes or changes. */
import type { Engine } from '../store/index.ts';
import { toldOf } from './evaluate-slots.ts';
import { compactRows, readSessions, type Told } from './publish.ts';
import { resultFields } from './result-stream.ts';
import { type KeyedSpan, keysStatement, sessionsStatement, timesStatement } from './session-statements.ts';
import { changesOfKey, lookBackMs, type Published, type SessionShape } from './sessions.ts';
import type { ResultRow } from './slot-statements.ts';
import type { Prepared, Reach } from './source.ts';
import type { PendingStep, Standing } from './step.ts';

export interface SessionBounds {
  /** Keys whose events are looked at together. */
  readonly keysMax: number;
  /** Sessions of one statement. */
  readonly sessionsMax: number;
}

export const SESSION_BOUNDS: SessionBounds = { keysMax: 500, sessionsMax: 1_000 };

export interface SessionStep {
  readonly engine: Pick<Engine, 'query'>;
  readonly prepared: Prepared;
  readonly shape: SessionShape;
  readonly standing: Pick<Standing, 'atMs' | 'applied' | 'arrivedFromMs' | 'sinceMs' | 'firstStep'>;
  readonly step: Pick<PendingStep, 'step' | 'to' | 'completeSinceMs'>;
  readonly bounds: SessionBounds;
}

/** Where keys may be that the step concerns: sessions that end in it, and late events. */
export function reachesOf({
  standing,
  step,
  shape,
}: Omit<SessionStep, 'engine' | 'bounds' | 'prepared'>): readonly Reach[] {
  const toMs = step.to.atMs!;
  const reach = {
    until: step.to.applied,
    since: standing.applied,
    arrivedFromMs: standing.arrivedFromMs,
    toMs,
  };
  if (standing.atMs === null) return [reach];
  const openFrom = standing.atMs - shape.gapMs;
  return [
    { ...reach, fromMs: openFrom },
    { ...reach, toMs: Math.min(toMs, openFrom), onlyNew: true },
  ];
}

export async function* sessionResults(asked: SessionStep): AsyncGenerator<readonly Told[]> {
  const { engine, prepared, bounds } = asked;
  for (const reach of reachesOf(asked)) {
    let after: string | undefined;
    for (;;) {
      const keys = await compactRows<[string, string]>(
        engine,
        keysStatement(prepared, reach, { after, limit: bounds.keysMax }),
        prepared.tenant,
      );
      if (keys.length > 0)
        yield* resultsOfKeys(
          asked,
          keys.map(([key]) => key),
        );
      if (keys.length < bounds.keysMax) break;
      after = keys.at(-1)![0];
    }
  }
}

async function* resultsOfKeys(asked: SessionStep, keys: readonly string[]): AsyncGenerator<readonly Told[]> {
  const { shape, standing, step } = asked;
  const newest = await newestOf(asked, keys);
  const fromMs = standing.atMs ?? undefined;
  const backOf = (key: string) => lookBackMs(shape, { fromMs, newestFromMs: newest.get(key) });
  // A few keys with very late events do not make all others read as far back.
  const usual = fromMs === undefined ? Number.NEGATIVE_INFINITY : fromMs - 2 * shape.maxMs;
  const groups = [keys.filter((key) => backOf(key) >= usual), keys.filter((key) => backOf(key) < usual)];
  for (const group of groups) {
    if (group.length === 0) continue;
    const back = Math.min(...group.map(backOf));
    const [times, published] = [
      await timesOf(asked, group, back),
      await readSessions(asked.engine, asked.prepared.tenant, asked.prepared.window.name, {
        ...{ keys: group, firstStep: standing.firstStep, beforeStep: step.step },
        ...{ endsAfterMs: back, longestMs: shape.maxMs },
      }),
    ];
    const changed: (KeyedSpan & { readonly before: Published | undefined })[] = [];
    const retracted: KeyedSpan[] = [];
    for (const key of group) {
      const { all = [], fresh = new Set<number>() } = times.get(key) ?? {};
      const changes = changesOfKey(shape, {
        ...{ fromMs, toMs: step.to.atMs!, newestFromMs: newest.get(key), times: all },
        ...{ isNew: (ms: number) => fresh.has(ms), published: published.get(key) ?? [] },
      });
      changed.push(...changes.changed.filter((one) => mayBeTold(asked, one)).map((one) => ({ ...one, key })));
      retracted.push(...changes.retracted.map((one) => ({ ...one, key })));
    }
    yield* toldOfSessions(asked, changed, retracted);
  }
}

const mayBeTold = ({ standing, step }: SessionStep, { startMs, endMs }: { startMs: number; endMs: number }) =>
  (step.completeSinceMs === null || startMs >= step.completeSinceMs) &&
  (standing.sinceMs === null || endMs > standing.sinceMs);

/** Of each key the earliest event that came with the step. */
async function newestOf(
  { engine, prepared, standing, step }: SessionStep,
  keys: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const reach = {
    ...{ until: step.to.applied, since: standing.applied, arrivedFromMs: standing.arrivedFromMs },
    ...{ toMs: step.to.atMs!, onlyNew: true },
  };
  const rows = await compactRows<[string, string]>(
    engine,
    keysStatement(prepared, reach, { after: undefined, limit: keys.length, among: keys }),
    prepared.tenant,
  );
  return new Map(rows.map(([key, ms]) => [key, Number(ms)]));
}

async function timesOf(
  { engine, prepared, standing, step }: SessionStep,
  keys: readonly string[],
  backMs: number,
) {
  const reach = { until: step.to.applied, since: standing.applied, toMs: step.to.atMs! };
  const rows = await compactRows<[string, (string | number)[], (string | number)[]]>(
    engine,
    timesStatement(prepared, Number.isFinite(backMs) ? { ...reach, fromMs: backMs } : reach, keys),
    prepared.tenant,
  );
  return new Map(
    rows.map(([key, all, fresh]) => [key, { all: all.map(Number), fresh: new Set(fresh.map(Number)) }]),
  );
}

async function* toldOfSessions(
  { engine, prepared, standing, step, bounds }: SessionStep,
  changed: readonly (KeyedSpan & { readonly before: Published | undefined })[],
  retracted: readonly KeyedSpan[],
): AsyncGenerator<readonly Told[]> {
  const names = resultFields(prepared.stream, prepared.window).map(({ name }) => name);
  const keys = new Set(prepared.window.by);
  const reach = { until: step.to.applied, since: standing.applied };
  const ask = (some: readonly KeyedSpan[]) =>
    compactRows<ResultRow>(engine, sessionsStatement(prepared, reach, some), prepared.tenant);
  for (let at = 0; at < retracted.length; at += bounds.sessionsMax) {
    const rows = await ask(retracted.slice(at, at + bounds.sessionsMax));
    // It says whose it was, and counts nothing.
    yield rows.map((row) => {
      const one = toldOf(row, names, () => 'retracted');
      const members = one.members.map(([name, json]) => [name, keys.has(name) ? json : 'null'] as const);
      return { ...one, events: 0, fresh: 0, members };
    });
  }
  for (let at = 0; at < changed.length; at += bounds.sessionsMax) {
    const some = changed.slice(at, at + bounds.sessionsMax);
    const told = new Set(
      some.filter(({ before }) => before).map(({ key, startMs }) => JSON.stringify([key, startMs])),
    );
    yield (await ask(some)).map((row) => {
      const isAgain = told.has(JSON.stringify([row[2], Number(row[0])]));
      return toldOf(row, names, (endMs) =>
        isAgain || (standing.atMs !== null && endMs <= standing.atMs) ? 'corrected' : 'final',
      );
    });
  }
}
