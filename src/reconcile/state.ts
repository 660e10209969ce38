/** What a repair has made durable. Every step looks at the tables first, so that it may be begun again anywhere. */
import type { SwapJournal } from '../store/index.ts';
import type { Range } from './parts.ts';
import type { Comparison, RepairNote } from './port.ts';

/** In the order in which they are done: later ones rest on earlier ones. */
export const STEPS = [
  'parts',
  'strays',
  'contents',
  'doubled',
  'missing',
  'ids',
  'restate',
  'rollups',
] as const;
export type StepName = (typeof STEPS)[number];

export interface RepairState {
  readonly before: Comparison;
  /** Steps that are done. */
  readonly done: readonly StepName[];
  /** A shadow that may be on its way into a live table's place. */
  readonly swap: SwapJournal | null;
  readonly notes: readonly RepairNote[];
  /** Offsets [from, to) around everything that was changed, by log partition. */
  readonly touched: Readonly<Record<string, { readonly from: number; readonly to: number }>>;
  /**
   * Offsets whose rows go from all tables, to be decided again. Written down before the first of them goes: between two
   * deletions the row that is left could pass for the right one.
   */
  readonly again: { readonly partition: number; readonly ranges: readonly Range[] } | null;
  /** Raw is not whole and cannot be made so: nothing may be computed from it. */
  readonly isRawWhole: boolean;
}

export const beginRepair = (before: Comparison): RepairState => ({
  ...{ before, done: [], swap: null, again: null, notes: [], touched: {}, isRawWhole: true },
});

export function touch(state: RepairState, partition: number, from: number, to: number): RepairState {
  const was = state.touched[partition] ?? { from, to };
  const now = { from: Math.min(was.from, from), to: Math.max(was.to, to) };
  return { ...state, touched: { ...state.touched, [partition]: now } };
}

/** A step that is begun again says the same again. */
export function withNote(state: RepairState, note: RepairNote): RepairState {
  const same = state.notes.some((one) => JSON.stringify(one) === JSON.stringify(note));
  return same ? state : { ...state, notes: [...state.notes, note].slice(-500) };
}
