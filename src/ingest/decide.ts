/**
 * Decides what becomes of every record of a batch, in log order: what cannot be typed was told by the engine (`code`),
 * what is late is judged record by record against the greatest event time stored before it, and an id that was seen
 * within the horizon is a duplicate. The decision depends on the records and on what came before them, never on how
 * they were cut into batches: the same log gives the same tables.
 */
import { atOnce } from '../base/turns.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { LogBlock } from '../log/index.ts';
import type { StagedRows } from './staged-rows.ts';

/** What became of the records of a batch. Offsets ascend; what is in none of `duplicates`, `quarantined`, `dropped` is stored. */
export interface Decision {
  readonly from: number;
  readonly to: number;
  readonly duplicates: readonly number[];
  /** All quarantined records, those for lateness among them. */
  readonly quarantined: readonly number[];
  /** The quarantined ones that are only late; the engine typed them. */
  readonly quarantinedLate: readonly number[];
  /** Late ones that the stream drops. */
  readonly dropped: readonly number[];
  /** Stored, quarantined or dropped although behind the watermark by more than the stream allows. A duplicate is only that. */
  readonly late: readonly number[];
  /** Greatest event time stored so far; only told for streams that judge lateness. */
  readonly watermarkMs: number | undefined;
}

export interface DecideInput {
  readonly from: number;
  readonly to: number;
  readonly blocks: readonly LogBlock[];
  readonly rows: StagedRows;
  readonly lateness: StreamDefinition['lateness'];
  /** Greatest event time stored before the batch; undefined before the first event. */
  readonly watermarkMs: number | undefined;
  /**
   * Was this id stored within the horizon? Asked once for each record that has an id and is to be stored, in log
   * order; a `false` is the promise that it will be.
   */
  readonly seen: (a: number, b: number, c: number, d: number, atMs: number, offset: number) => boolean;
}

/** Rows that are looked at between two turns of others. */
export const ROWS_A_STEP = 2_000;

export const decideRows = (input: DecideInput): Decision => atOnce(decidingRows(input));

/** The same in steps; whatever `seen` asks must not be changed by others between them. */
export function* decidingRows(input: DecideInput): Generator<void, Decision, void> {
  const { rows, lateness, seen } = input;
  const duplicates: number[] = [];
  const quarantined: number[] = [];
  const quarantinedLate: number[] = [];
  const dropped: number[] = [];
  const late: number[] = [];
  let watermarkMs = input.watermarkMs ?? Number.NEGATIVE_INFINITY;
  let at = 0;
  for (let row = 0; row < rows.count; row += 1) {
    if (row > 0 && row % ROWS_A_STEP === 0) yield;
    const offset = rows.offset(row);
    while (offset >= input.blocks[at]!.baseOffset + input.blocks[at]!.count) at += 1;
    const block = input.blocks[at]!;
    if (rows.code(row) !== 0) {
      quarantined.push(offset);
      continue;
    }
    const isLate = lateness !== undefined && rows.timeMs(row) < watermarkMs - lateness.allowedMs;
    // Who replays a record has decided already that it is wanted.
    if (isLate && lateness.then !== 'count' && !block.replayed) {
      late.push(offset);
      if (lateness.then === 'quarantine') {
        quarantined.push(offset);
        quarantinedLate.push(offset);
      } else dropped.push(offset);
      continue;
    }
    if (rows.hasId(row)) {
      const [a, b, c, d] = [rows.word(row, 0), rows.word(row, 1), rows.word(row, 2), rows.word(row, 3)];
      if (seen(a, b, c, d, block.receivedAtMs, offset)) {
        duplicates.push(offset);
        continue;
      }
    }
    if (isLate) late.push(offset);
    if (lateness) watermarkMs = Math.max(watermarkMs, rows.timeMs(row));
  }
  return {
    from: input.from,
    to: input.to,
    duplicates,
    quarantined,
    quarantinedLate,
    dropped,
    late,
    watermarkMs: watermarkMs === Number.NEGATIVE_INFINITY ? undefined : watermarkMs,
  };
}

/** The records of the decision that are stored. */
export const storedCount = (decision: Decision): number =>
  decision.to -
  decision.from -
  decision.duplicates.length -
  decision.quarantined.length -
  decision.dropped.length;
