/** Walks from block to block through a part of a segment file, reading large pieces. */
import type { OpenFile } from '../base/files.ts';
import { BLOCK_HEADER_BYTES, type BlockHeader, decodeBlockHeader } from './codec.ts';

const PIECE_BYTES = 4 * 2 ** 20;
const PIECE_BYTES_MIN = 64 * 2 ** 10;

export interface Found {
  readonly header: BlockHeader;
  readonly position: number;
  /** Position after the block. */
  readonly next: number;
  /** A view into a buffer that nothing else uses. */
  readonly payload: Buffer;
}

/**
 * The blocks of [position, until) whose header is valid and that end by `until`; stops at the first that is not
 * one. `bytesWanted` is a hint to read no more than that at first. Payloads are not verified here.
 */
export async function* walkBlocks(
  file: OpenFile,
  salt: number,
  position: number,
  until: number,
  bytesWanted = PIECE_BYTES,
): AsyncGenerator<Found> {
  let start = position;
  let need = PIECE_BYTES_MIN;
  let wanted = bytesWanted;
  while (start < until) {
    const piece = Buffer.allocUnsafeSlow(
      Math.min(until - start, Math.max(need, Math.min(wanted, PIECE_BYTES))),
    );
    const got = await file.read(piece, start);
    const bytes = got === piece.byteLength ? piece : piece.subarray(0, got);
    let at = 0;
    need = PIECE_BYTES_MIN;
    while (at < got) {
      const header = decodeBlockHeader(bytes, at, salt);
      // A header that is cut off by the end of the piece may still be one.
      if (!header && (at + BLOCK_HEADER_BYTES <= got || start + at + BLOCK_HEADER_BYTES > until)) return;
      if (!header) break;
      const size = BLOCK_HEADER_BYTES + header.payloadBytes;
      if (start + at + size > until) return;
      if (at + size > got) {
        need = Math.max(need, size);
        break;
      }
      const payload = bytes.subarray(at + BLOCK_HEADER_BYTES, at + size);
      yield { header, position: start + at, next: start + at + size, payload };
      at += size;
    }
    if (at === 0 && got < piece.byteLength) return; // The file is shorter than it should be.
    start += at;
    wanted -= at;
  }
}
