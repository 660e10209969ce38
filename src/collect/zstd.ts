/**
 * Zstandard where Node has none of its own. The frames' structure is walked before a byte is decompressed,
 * because a header of a few bytes may ask for a window of gigabytes.
 *
 *   body       = frame*
 *   frame      = zstd | skippable                                              (RFC 8878, section 3.1)
 *   zstd       = 0xFD2FB528 (4, little endian) · descriptor (1) · window (0-1) · dictionary (0-4) · size (0-8) · block+ · checksum (0|4)
 *   block      = header (3: last 1 bit, type 2 bits, size 21 bits) · content (raw: size, rle: 1, compressed: size)
 *   skippable  = 0x184D2A5? (4) · length (4) · content
 *
 * Checksums of frames are not verified here.
 */
import { Transform, type TransformCallback } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Decompress } from 'fzstd';
import { MillraceError } from '../base/errors.ts';

/** RFC 8878 recommends that decoders support at least 8 MiB; level 19 needs no more. */
export const ZSTD_WINDOW_BYTES_LOG_MAX = 23;
const WINDOW_BYTES_MAX = 2 ** ZSTD_WINDOW_BYTES_LOG_MAX;
/** The decoder moves its window once per block: blocks × window is its work, bounded to a second or two. */
const WORK_BYTES_MAX = 16 * 2 ** 30;
/** Compressed bytes between two looks at other work. */
const SLICE_BYTES = 64 * 1_024;
const ZSTD_MAGIC = 0xfd2fb528;

interface Frame {
  readonly start: number;
  readonly end: number;
}

const corrupt = (why: string) => new MillraceError('bad-body', `The zstd data is not whole: ${why}.`);

/** The zstd frames of a body. Fails with `bad-body` when it is truncated, or asks for too much. */
export function zstdFrames(body: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  let work = 0;
  let at = 0;
  const need = (bytes: number) => {
    if (at + bytes > body.length) throw corrupt('it ends in the middle of a frame');
  };
  while (at < body.length) {
    const start = at;
    need(5);
    const magic = body.readUInt32LE(at);
    if (magic >>> 4 === 0x184d2a5) {
      need(8);
      const length = body.readUInt32LE(at + 4);
      need(8 + length);
      at += 8 + length;
      continue;
    }
    if (magic !== ZSTD_MAGIC) throw corrupt('a frame does not begin like one');
    const header = frameHeader(body, at + 4);
    need(4 + header.bytes);
    if (header.windowBytes > WINDOW_BYTES_MAX) {
      throw new MillraceError(
        'bad-body',
        'The zstd data needs a window of more than 8 MiB; compress it at a lower level.',
      );
    }
    at += 4 + header.bytes;
    work += header.windowBytes;
    for (let last = false; !last; ) {
      need(3);
      const block = body.readUIntLE(at, 3);
      last = (block & 1) === 1;
      const type = (block >> 1) & 3;
      if (type === 3) throw corrupt('a block has an unknown type');
      const content = type === 1 ? 1 : block >> 3;
      need(3 + content);
      at += 3 + content;
      work += header.windowBytes;
    }
    need(header.checksumBytes);
    at += header.checksumBytes;
    if (work > WORK_BYTES_MAX)
      throw new MillraceError('bad-body', 'The zstd data has too many small blocks; flush less often.');
    frames.push({ start, end: at });
  }
  return frames;
}

function frameHeader(body: Buffer, at: number) {
  const descriptor = body[at]!;
  const single = (descriptor >> 5) & 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [single, 2, 4, 8][descriptor >> 6]!;
  const bytes = 2 - single + dictionaryBytes + sizeBytes;
  if (at + bytes > body.length) throw corrupt('it ends in the middle of a header');
  if (dictionaryBytes > 0 && body.readUIntLE(at + 2 - single, dictionaryBytes) !== 0) {
    throw new MillraceError('bad-body', 'The zstd data needs a dictionary; compress it without one.');
  }
  const windowBytes =
    single === 1 ? contentSize(body, at + 1 + dictionaryBytes, sizeBytes) : windowOf(body[at + 1]!);
  return { bytes, windowBytes, checksumBytes: (descriptor >> 2) & 1 ? 4 : 0 };
}

const windowOf = (descriptor: number): number => 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8);

const contentSize = (body: Buffer, at: number, bytes: number): number =>
  bytes === 8 ? Number(body.readBigUInt64LE(at)) : body.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);

/** Collects the compressed body (its reader bounds it), then gives out what it holds, at most `bytesMax` and one block. */
export class ZstdDecoder extends Transform {
  readonly #bytesMax: number;
  #compressed: Buffer[] = [];
  #given = 0;

  constructor(bytesMax: number) {
    super();
    this.#bytesMax = bytesMax;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#compressed.push(chunk);
    done();
  }

  override _flush(done: TransformCallback): void {
    this.#decompress().then(() => done(), done);
  }

  async #decompress(): Promise<void> {
    const body = Buffer.concat(this.#compressed);
    this.#compressed = [];
    for (const { start, end } of zstdFrames(body)) {
      const decoder = new Decompress((data) => this.#give(data));
      for (let at = start; at < end; at += SLICE_BYTES) {
        if (this.destroyed) return;
        const next = Math.min(at + SLICE_BYTES, end);
        decoder.push(body.subarray(at, next), next === end);
        if (end - start > SLICE_BYTES) await setImmediate();
      }
    }
  }

  #give(data: Uint8Array): void {
    this.#given += data.length;
    // The reader counts too; this stops a bomb inside one slice, before the reader sees any of it.
    if (this.#given > this.#bytesMax + 128 * 1_024) throw bodyTooLarge(this.#bytesMax);
    if (data.length > 0) this.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
}

export const bodyTooLarge = (bytesMax: number) =>
  new MillraceError('too-large', `The body is over ${bytesMax} bytes; send it in smaller pieces.`);
