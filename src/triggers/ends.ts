/** The moments at which windows end, and what is to be said of those that ended without a result of a group. */
import type { TriggerDefinition, WindowDefinition } from '../define/model.ts';
import { slotsOf } from '../windows/index.ts';

export interface Ends {
  /** The first end behind the moment. */
  after(ms: number): number;
  /** The latest end that is not behind the moment. */
  upTo(ms: number): number;
  /** The end that lies nearest: windows of a calendar move with the clocks of their zone. */
  nearest(ms: number): number;
}

type Shaped = Pick<WindowDefinition, 'shape' | 'timeZone' | 'originMs'>;

/** Of definitions as they stand: this is asked at every look. */
const known = new WeakMap<Shaped, { readonly ends: Ends | undefined }>();

/** Undefined for sessions, which end where their events are. */
export function endsOf(window: Shaped): Ends | undefined {
  const found = known.get(window) ?? { ends: madeOf(window) };
  known.set(window, found);
  return found.ends;
}

function madeOf(window: Shaped): Ends | undefined {
  const slots = slotsOf(window);
  if (!slots || window.shape.kind === 'session') return undefined;
  const halfMs = (window.shape.kind === 'sliding' ? window.shape.slideMs : window.shape.sizeMs) / 2;
  return {
    after: (ms) => slots.start(slots.at(ms) + 1),
    upTo: (ms) => slots.start(slots.at(ms)),
    nearest: (ms) => slots.start(slots.at(ms + halfMs)),
  };
}

/** The number of a group in a window that has ended without an event of it. */
export function silentValue(
  { measures }: Pick<WindowDefinition, 'measures'>,
  { measure }: Pick<TriggerDefinition, 'measure'>,
): 0 | null {
  const fn = measures.find(({ name }) => name === measure)?.measure.fn;
  return fn === 'count' || fn === 'sum' || fn === 'unique' ? 0 : null;
}
