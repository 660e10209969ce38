/**
 * Where a window stands, and the step that is under way. A step is decided once and written down; only then its results are
 * computed, from what lies below its offsets, and published:
 *
 *   standing at (watermark, offsets) ─decide─▶ pending step ─publish, wait─▶ done: standing at the step's own
 *                                                  └─ crash ─▶ published again, what is there already left out
 */
import type { ChangedTime } from '../catalog/index.ts';
import type { ProcessingMarks } from './source.ts';

export interface Position {
  /** Epoch ms; null before the first event. */
  readonly atMs: number | null;
  /** By partition: what lies below is counted. */
  readonly applied: readonly number[];
  /** What lies behind `applied` arrived then or later. */
  readonly arrivedFromMs: number;
}

export interface PendingStep {
  readonly step: number;
  /** `early`: tells windows that are open, closes none. `again`: holds what was told against events that were rewritten. */
  readonly kind: 'close' | 'early' | 'again';
  readonly to: Position;
  readonly decidedAtMs: number;
  /** The window's document as it was when the step was decided. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Windows that begin before cannot be computed any more. */
  readonly completeSinceMs: number | null;
  readonly marks: ProcessingMarks | null;
  /** By dimension table: the last change of its rows that the step sees. */
  readonly tables?: Readonly<Record<string, number>> | undefined;
  /** Of a step of kind `again`: up to which rewrite, and the time that they are about. */
  readonly rewritten: { readonly number: number; readonly changed: ChangedTime } | null;
}

export type Counts = Readonly<Record<'final' | 'corrected' | 'early' | 'retracted', number>>;
export const NOTHING: Counts = { final: 0, corrected: 0, early: 0, retracted: 0 };

export interface Standing extends Position {
  /** Version of the definition that it is about. */
  readonly definition: number;
  /** Windows that end by then are not told: they closed before the definition stood. */
  readonly sinceMs: number | null;
  /** Results of this definition carry this step or a later one. */
  readonly firstStep: number;
  /** The last one that is done. */
  readonly step: number;
  /** The last rewrite of the stream's events that is in what was told. */
  readonly rewrites: number;
  readonly doneAtMs: number | null;
  readonly earlyApplied: readonly number[];
  readonly earlyAtMs: number;
  readonly marks: ProcessingMarks | null;
  readonly counts: Counts;
  readonly keysCut: number;
  readonly pending: PendingStep | null;
}

/** A definition begins to stand: windows that end later than `position` are told from now on. */
export function beginAt(
  before: Standing | undefined,
  definition: number,
  position: Position,
  rewrites: number,
  nowMs: number,
): Standing {
  const step = before?.step ?? 0;
  return {
    ...position,
    ...{ definition, sinceMs: position.atMs, firstStep: step + 1, step, rewrites },
    doneAtMs: before?.doneAtMs ?? null,
    ...{ earlyApplied: position.applied, earlyAtMs: nowMs, marks: null },
    counts: before?.counts ?? NOTHING,
    keysCut: before?.keysCut ?? 0,
    pending: null,
  };
}

/** The pending step is done. */
export function doneStep(
  standing: Standing,
  told: { readonly counts: Counts; readonly keysCut: number },
): Standing {
  const pending = standing.pending!;
  const early = pending.kind === 'early';
  return {
    ...standing,
    ...(pending.kind === 'close' ? pending.to : {}),
    rewrites: pending.rewritten?.number ?? standing.rewrites,
    step: pending.step,
    doneAtMs: pending.decidedAtMs,
    ...(early ? { earlyApplied: pending.to.applied, earlyAtMs: pending.decidedAtMs } : {}),
    marks: pending.marks,
    counts: addCounts(standing.counts, told.counts),
    keysCut: standing.keysCut + told.keysCut,
    pending: null,
  };
}

export const addCounts = (a: Counts, b: Counts): Counts => ({
  final: a.final + b.final,
  corrected: a.corrected + b.corrected,
  early: a.early + b.early,
  retracted: a.retracted + b.retracted,
});
