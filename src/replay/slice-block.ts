import type { Offset } from '../base/brand.ts';
import type { LogBlock } from '../log/index.ts';

const NEWLINE = 0x0a;

/**
 * The records [from, to) of a block as a block, with the ids and the arrival that they have in the whole one. The bytes
 * are copied: blocks of several reads are used together.
 */
export function sliceBlock(block: LogBlock, from: number, to: number): LogBlock {
  const first = Math.max(from, block.baseOffset);
  const end = Math.min(to, block.baseOffset + block.count);
  const payload = Buffer.from(block.payload.buffer, block.payload.byteOffset, block.payload.byteLength);
  let [start, stop] = [0, payload.byteLength];
  if (first > block.baseOffset) start = afterLines(payload, 0, first - block.baseOffset);
  if (end < block.baseOffset + block.count) stop = afterLines(payload, start, end - first);
  return {
    ...block,
    baseOffset: first as Offset,
    count: end - first,
    idBase: advanced(block.idBase, first - block.baseOffset),
    payload: Uint8Array.from(payload.subarray(start, stop)),
  };
}

function afterLines(payload: Buffer, from: number, lines: number): number {
  let at = from;
  for (let line = 0; line < lines; line += 1) at = payload.indexOf(NEWLINE, at) + 1;
  return at;
}

/** The engine adds a record's number to the lower half of the id alone; so does this. */
function advanced(idBase: Uint8Array, by: number): Uint8Array {
  const bytes = Uint8Array.from(idBase);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, BigInt.asUintN(64, view.getBigUint64(8) + BigInt(by)));
  return bytes;
}
