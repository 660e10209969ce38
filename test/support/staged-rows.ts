import { STAGED_ROW_BYTES, StagedRows } from '../../src/ingest/staged-rows.ts';

export interface RowFacts {
  readonly offset: number;
  /** 0: no id of its own. */
  readonly id?: number;
  readonly code?: number;
  readonly timeMs?: number;
  readonly hasUnknownFields?: boolean;
}

/** Rows as the engine would send them. */
export function stagedRows(rows: readonly RowFacts[]): StagedRows {
  const view = new DataView(new ArrayBuffer(rows.length * STAGED_ROW_BYTES));
  rows.forEach(({ offset, id = 0, code = 0, timeMs = 0, hasUnknownFields = false }, row) => {
    const at = row * STAGED_ROW_BYTES;
    view.setBigUint64(at, BigInt(offset), true);
    view.setBigUint64(at + 8, BigInt(id), true);
    view.setUint16(at + 24, code, true);
    view.setBigInt64(at + 26, BigInt(timeMs), true);
    view.setUint8(at + 34, Number(hasUnknownFields));
  });
  return new StagedRows(new Uint8Array(view.buffer));
}
