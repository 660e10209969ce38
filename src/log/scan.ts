/** Walks from block to block through a part of a segment file, a large piece at a time. */
import type { OpenFile } from '../base/files.ts';
import { BLOCK_HEADER_BYTES, decodeBlockHeader, type FoundBlockHeader } from './codec.ts';

const PIECE_BYTES = 4 * 2 ** 20;
const PIECE_BYTES_MIN = 64 * 2 ** 10;
/** Who wants so many bytes of payload gets the headers too, and need not come back for the last block. */
const HEADERS_BYTES = 4 * 2 ** 10;

export interface Found {
  readonly header: FoundBlockHeader;
  readonly position: number;
  /** Position after the block. */
  readonly next: number;
  /** A view into a buffer that nothing else uses. */
  readonly payload: Buffer;
}

/**
 * The blocks of [position, until) whose header is valid and that end by `until`, as they come in a piece of the file;
 * stops at the first that is not one. `bytesWanted` is a hint to read little more than that. Payloads are not
 * verified here: while the caller does it, the next piece is read.
 */
export async function* walkBlocks(
  file: OpenFile,
  salt: number,
  position: number,
  until: number,
  bytesWanted = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly Found[]> {
  let wanted = Math.max(bytesWanted, PIECE_BYTES_MIN);
  const read = (start: number, need: number): Promise<Piece> => {
    const some = Math.min(wanted + HEADERS_BYTES, PIECE_BYTES);
    const bytes = Math.min(until - start, Math.max(need, some));
    const piece = readPiece(file, start, bytes);
    // It may fail while the caller is busy; then it is told when it comes back.
    piece.catch(() => undefined);
    return piece;
  };
  let reading = read(position, PIECE_BYTES_MIN);
  try {
    for (let start = position; start < until; ) {
      const { piece, atEnd } = await reading;
      const { found, bytes, need } = cutPiece(piece, salt, start, until);
      const ended = atEnd || need === 0 || start + bytes >= until;
      start += bytes;
      wanted -= bytes;
      // When the caller has what it wanted, the next piece is only read if it goes on.
      const ahead = !ended && wanted > 0;
      if (ahead) reading = read(start, need);
      if (found.length > 0) yield found;
      if (ended) return;
      if (!ahead) reading = read(start, need);
    }
  } finally {
    // The file must not be closed under a read.
    await reading.catch(() => undefined);
  }
}

interface Piece {
  readonly piece: Buffer;
  /** The file has no more, whatever it should have. */
  readonly atEnd: boolean;
}

async function readPiece(file: OpenFile, position: number, bytes: number): Promise<Piece> {
  const piece = Buffer.allocUnsafeSlow(bytes);
  const got = await file.read(piece, position);
  return { piece: got === bytes ? piece : piece.subarray(0, got), atEnd: got < bytes };
}

/** The whole blocks at the start of a piece, their bytes, and how many the piece after them must have at least: 0 at the end. */
function cutPiece(
  piece: Buffer,
  salt: number,
  start: number,
  until: number,
): { readonly found: readonly Found[]; readonly bytes: number; readonly need: number } {
  const found: Found[] = [];
  let at = 0;
  while (at < piece.byteLength) {
    const header = decodeBlockHeader(piece, at, salt);
    if (!header) {
      // A header that is cut off by the end of the piece may still be one.
      const cutOff = at + BLOCK_HEADER_BYTES > piece.byteLength && start + at + BLOCK_HEADER_BYTES <= until;
      return { found, bytes: at, need: cutOff ? PIECE_BYTES_MIN : 0 };
    }
    const end = at + BLOCK_HEADER_BYTES + header.payloadBytes;
    if (start + end > until) return { found, bytes: at, need: 0 };
    if (end > piece.byteLength) return { found, bytes: at, need: Math.max(PIECE_BYTES_MIN, end - at) };
    const payload = piece.subarray(at + BLOCK_HEADER_BYTES, end);
    found.push({ header, position: start + at, next: start + end, payload });
    at = end;
  }
  return { found, bytes: at, need: PIECE_BYTES_MIN };
}
