import { StagedRows } from '../../src/ingest/staged-rows.ts';

export interface RowFacts {
  readonly offset: number;
  /** 0: no id of its own. */
  readonly id?: number;
  readonly code?: number;
  readonly timeMs?: number;
}

/** Rows as the engine would send them. */
export function stagedRows(rows: readonly RowFacts[], withTime: boolean): StagedRows {
  const rowBytes = withTime ? 34 : 26;
  const view = new DataView(new ArrayBuffer(rows.length * rowBytes));
  rows.forEach(({ offset, id = 0, code = 0, timeMs = 0 }, row) => {
    const at = row * rowBytes;
    view.setBigUint64(at, BigInt(offset), true);
    view.setBigUint64(at + 8, BigInt(id), true);
    view.setUint16(at + 24, code, true);
    if (withTime) view.setBigInt64(at + 26, BigInt(timeMs), true);
  });
  return new StagedRows(new Uint8Array(view.buffer), withTime);
}
