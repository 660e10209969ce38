/** Windows that are still open, with their numbers so far. Nothing is published of it. */
import type { Engine } from '../store/index.ts';
import { SESSION_BOUNDS, sessionResults } from './evaluate-sessions.ts';
import { slotResults } from './evaluate-slots.ts';
import type { Told } from './publish.ts';
import { BOUNDS } from './slot-pages.ts';
import { type Slots, slotsOf } from './slots.ts';
import type { Prepared } from './source.ts';
import type { Position, Standing } from './step.ts';

/** JSON array; at most `limit` of them. */
export async function openWindows(
  engine: Pick<Engine, 'query'>,
  prepared: Prepared,
  standing: Standing,
  position: Position,
  limit: number,
): Promise<string> {
  const told: Told[] = [];
  for await (const some of resultsOf(engine, prepared, standing, position, limit)) {
    told.push(...some);
    if (told.length >= limit) break;
  }
  return `[${told.slice(0, limit).map(jsonOf).join(',')}]`;
}

function resultsOf(
  engine: Pick<Engine, 'query'>,
  prepared: Prepared,
  standing: Standing,
  position: Position,
  limit: number,
): AsyncIterable<readonly Told[]> {
  const { shape } = prepared.window;
  const nothing = {
    document: {},
    decidedAtMs: 0,
    marks: standing.marks,
    completeSinceMs: null,
    rewritten: null,
  };
  const slots: Slots | undefined = slotsOf(prepared.window);
  if (slots) {
    // Every event counts as new: what is asked for is not what changed.
    const asked = { ...standing, earlyApplied: [] };
    const step = { ...nothing, step: 0, kind: 'early' as const, to: position };
    const bounds = { ...BOUNDS, rowsMax: Math.min(BOUNDS.rowsMax, limit) };
    return slotResults({
      engine,
      prepared,
      slots,
      standing: asked,
      step,
      bounds,
      onKeysCut: () => undefined,
    });
  }
  if (shape.kind !== 'session') throw new Error('a window has slots or is a session');
  // As if the watermark passed everything that there is.
  const endless = { ...position, atMs: FAR_MS };
  const step = { ...nothing, step: standing.step + 1, kind: 'close' as const, to: endless };
  return sessionResults({ engine, prepared, shape, standing, step, bounds: SESSION_BOUNDS });
}

/** 2299-12-31: the last day that the engine holds. */
const FAR_MS = 10_413_705_600_000;

const jsonOf = ({ startMs, endMs, key, events, members }: Told): string => {
  const own = {
    window_start: new Date(startMs).toISOString(),
    window_end: new Date(endMs).toISOString(),
    ...{ window_key: key, status: 'open', events },
  };
  return `${JSON.stringify(own).slice(0, -1)}${members.map(([name, json]) => `,${JSON.stringify(name)}:${json}`).join('')}}`;
};
