/** The results of a step, of sessions: keys in pages; of each key the sessions that the step closes or changes. */
import type { Engine } from '../store/index.ts';
import { compactRows, type Told } from './publish.ts';
import { resultFields } from './result-stream.ts';
import { type KeyedSpan, keysStatement, sessionsStatement, timesStatement } from './session-statements.ts';
import { changesOfKey, lookBackMs, type Published, type SessionShape } from './sessions.ts';
import { toldOf } from './slot-pages.ts';
import type { ResultRow } from './slot-statements.ts';
import type { Span } from './slots.ts';
import type { Prepared, Reach } from './source.ts';
import type { PendingStep, Standing } from './step.ts';
import { readSessions, readTold, retraction } from './told.ts';

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
  readonly step: Pick<PendingStep, 'step' | 'kind' | 'to' | 'completeSinceMs' | 'rewritten'>;
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
  const again = rewrittenOf(step, shape);
  if (again) return [{ ...reach, fromMs: again.fromMs, toMs: Math.min(toMs, again.toMs) }];
  if (standing.atMs === null) return [reach];
  const openFrom = standing.atMs - shape.gapMs;
  return [
    { ...reach, fromMs: openFrom },
    { ...reach, toMs: Math.min(toMs, openFrom), onlyNew: true },
  ];
}

/** Time in which sessions may have changed, though no event is new. */
function rewrittenOf({ rewritten, to }: Pick<PendingStep, 'rewritten' | 'to'>, shape: SessionShape) {
  if (!rewritten) return undefined;
  const { fromMs, toMs } = rewritten.changed ?? { fromMs: FIRST_MS, toMs: to.atMs! };
  // Neighbours of an event that is gone may be two sessions now.
  return { fromMs: fromMs - shape.gapMs, toMs: toMs + shape.gapMs + 1 };
}

/** 1900-01-01: the first day that the engine holds. */
const FIRST_MS = -2_208_988_800_000;

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
  const again = rewrittenOf(asked.step, asked.shape);
  if (again) yield* toldOfRewritten(asked, again);
}

/** Keys that were told something in that time: their events may all be gone. */
async function* toldOfRewritten(
  asked: SessionStep,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): AsyncGenerator<readonly Told[]> {
  const { engine, prepared, shape, standing, step, bounds } = asked;
  let after: { readonly startMs: number; readonly key: string } | undefined;
  for (;;) {
    const told = await readTold(engine, prepared, {
      ...{ firstStep: standing.firstStep, beforeStep: step.step, after, until: undefined },
      ...{ fromMs: Math.max(FIRST_MS, fromMs - shape.maxMs), toMs, limit: bounds.keysMax },
    });
    const keys = [...new Set(told.map(({ key }) => key))];
    if (keys.length > 0) yield* resultsOfKeys(asked, keys);
    if (told.length < bounds.keysMax) return;
    after = told.at(-1);
  }
}

async function* resultsOfKeys(asked: SessionStep, keys: readonly string[]): AsyncGenerator<readonly Told[]> {
  const { shape, standing, step } = asked;
  const again = rewrittenOf(step, shape);
  const newest = again ? new Map(keys.map((key) => [key, again.fromMs])) : await newestOf(asked, keys);
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
      await readSessions(asked.engine, asked.prepared, {
        ...{ keys: group, firstStep: standing.firstStep, beforeStep: step.step },
        ...{ endsAfterMs: back, longestMs: shape.maxMs },
      }),
    ];
    const changed: (KeyedSpan & { readonly before: Published | undefined })[] = [];
    const retracted: (KeyedSpan & Published)[] = [];
    for (const key of group) {
      const { all = [], fresh = [] } = times.get(key) ?? {};
      const changes = changesOfKey(shape, {
        ...{ fromMs, toMs: step.to.atMs!, newestFromMs: newest.get(key), times: all },
        isTouched: again
          ? ({ startMs, endMs }: Span) => startMs < again.toMs && endMs > again.fromMs
          : ({ startMs, endMs }: Span) => fresh.some((ms) => ms >= startMs && ms < endMs),
        published: published.get(key) ?? [],
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
  return new Map(rows.map(([key, all, fresh]) => [key, { all: all.map(Number), fresh: fresh.map(Number) }]));
}

async function* toldOfSessions(
  { engine, prepared, standing, step, bounds }: SessionStep,
  changed: readonly (KeyedSpan & { readonly before: Published | undefined })[],
  retracted: readonly (KeyedSpan & Published)[],
): AsyncGenerator<readonly Told[]> {
  const names = resultFields(prepared).map(({ name }) => name);
  const reach = { until: step.to.applied, since: standing.applied };
  const ask = (some: readonly KeyedSpan[]) =>
    compactRows<ResultRow>(engine, sessionsStatement(prepared, reach, some), prepared.tenant);
  if (retracted.length > 0) yield retracted.map((one) => retraction(prepared, one));
  for (let at = 0; at < changed.length; at += bounds.sessionsMax) {
    const some = changed.slice(at, at + bounds.sessionsMax);
    const told = new Map(
      some.flatMap(({ key, startMs, before }) => (before ? [[JSON.stringify([key, startMs]), before]] : [])),
    );
    const rows = (await ask(some)).flatMap((row) => {
      const before = told.get(JSON.stringify([row[2], Number(row[0])]));
      const one = toldOf(row, names, (endMs) =>
        before || (standing.atMs !== null && endMs <= standing.atMs) ? 'corrected' : 'final',
      );
      return step.kind === 'again' && before && isSame(one, before) ? [] : [one];
    });
    if (rows.length > 0) yield rows;
  }
}

/** The same was counted. */
export const isSame = (
  told: Pick<Told, 'endMs' | 'digest' | 'events'>,
  before: Pick<Published, 'endMs' | 'digest' | 'events'>,
): boolean => told.endMs === before.endMs && told.digest === before.digest && told.events === before.events;
