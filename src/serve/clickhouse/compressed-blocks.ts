/**
 * The blocks that a client asks for with `compress=1`: what ClickHouse calls its native compression, without which the
 * drivers for Java do not begin. Each block names LZ4 and carries its bytes as one literal of LZ4, which every decoder
 * takes: to compress well is what Accept-Encoding is for.
 *
 *   block   := CityHash128 of what follows (16), 82, length of method to end (u32), length of the bytes (u32), literal
 *   literal := F0, length - 15 in bytes of 255 and a last one below, bytes        (LZ4 block format, a last sequence)
 */
import { setImmediate } from 'node:timers/promises';
import { cityHash128 } from './city-hash.ts';

const METHOD_LZ4 = 0x82;
const HEAD_BYTES = 25;
const HASH_BYTES = 16;
/** Some 4 ms of hashing: other work gets its turn behind each block. */
const BLOCK_BYTES_MAX = 2 ** 17;

export async function* inCompressedBlocks(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += BLOCK_BYTES_MAX) {
      yield compressedBlock(piece.subarray(at, at + BLOCK_BYTES_MAX));
      await setImmediate();
    }
  }
}

export function compressedBlock(bytes: Uint8Array): Buffer {
  const { length } = bytes;
  const lengthBytes = length < 15 ? 0 : Math.floor((length - 15) / 255) + 1;
  const block = Buffer.allocUnsafe(HEAD_BYTES + 1 + lengthBytes + length);
  block[HASH_BYTES] = METHOD_LZ4;
  block.writeUInt32LE(block.length - HASH_BYTES, HASH_BYTES + 1);
  block.writeUInt32LE(length, HASH_BYTES + 5);
  block[HEAD_BYTES] = Math.min(length, 15) << 4;
  if (lengthBytes > 0) {
    block.fill(255, HEAD_BYTES + 1, HEAD_BYTES + lengthBytes);
    block[HEAD_BYTES + lengthBytes] = (length - 15) % 255;
  }
  block.set(bytes, HEAD_BYTES + 1 + lengthBytes);
  cityHash128(block.subarray(HASH_BYTES)).copy(block);
  return block;
}
