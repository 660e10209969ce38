/** What is held against the engine's own files: its compressed blocks carry the same hash. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Session } from 'chdb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cityHash128 } from '../../src/serve/clickhouse/city-hash.ts';
import { compressedBlock } from '../../src/serve/clickhouse/compressed-blocks.ts';

let directory: string;
let session: Session;
const ROWS = [...Array.from({ length: 60 }, (_, index) => index + 1), 1_000, 100_000];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-blocks-'));
  session = new Session(directory);
  session.query('CREATE DATABASE d');
  session.query('CREATE TABLE d.t (n UInt8, w FixedString(3), s String) ENGINE = TinyLog');
  for (const rows of ROWS) {
    session.query(
      `INSERT INTO d.t SELECT number, leftPad(toString(number % 1000), 3), hex(cityHash64(number)) FROM numbers(${rows})`,
    );
  }
});
afterAll(() => {
  session.close();
  rmSync(directory, { recursive: true, force: true });
});

function filesUnder(path: string): readonly string[] {
  return readdirSync(path).flatMap((name) => {
    const inner = join(path, name);
    return statSync(inner).isDirectory() ? filesUnder(inner) : [inner];
  });
}

/** hash (16), method (1), length from the method on (u32), length of the bytes (u32), … */
function* blocksOf(file: Buffer): Generator<{ readonly hash: Buffer; readonly block: Buffer }> {
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 17);
    yield { hash: file.subarray(at, at + 16), block: file.subarray(at + 16, at + 16 + length) };
    at += 16 + length;
  }
}

/** Reads what carries only literals. */
function literalOf(block: Buffer): Buffer {
  let at = 26;
  let length = block[25]! >> 4;
  if (length === 15) {
    do length += block[at]!;
    while (block[at++] === 255);
  }
  return block.subarray(at, at + length);
}

describe('compressed blocks', () => {
  it('carry the hash that the engine itself computes, at every length', () => {
    const lengths = new Set<number>();
    const files = filesUnder(directory).filter((path) => /[nws]\.bin$/.test(path));
    expect(files.length).toBeGreaterThanOrEqual(3);
    for (const file of files) {
      for (const { hash, block } of blocksOf(readFileSync(file))) {
        expect(cityHash128(block).equals(hash), `${block.length} bytes`).toBe(true);
        lengths.add(block.length);
      }
    }
    expect(lengths.size).toBeGreaterThan(70);
    expect(Math.min(...lengths)).toBeLessThan(16);
    expect(Math.max(...lengths)).toBeGreaterThan(10_000);
  });

  it('give back their bytes', () => {
    for (const length of [1, 5, 14, 15, 16, 269, 270, 271, 525, 70_000]) {
      const bytes = Buffer.from(Array.from({ length }, (_, index) => index % 251));
      const block = compressedBlock(bytes);
      expect(block.readUInt32LE(17)).toBe(block.length - 16);
      expect(block.readUInt32LE(21)).toBe(length);
      expect(literalOf(block).equals(bytes), `${length} bytes`).toBe(true);
      expect(cityHash128(block.subarray(16)).equals(block.subarray(0, 16))).toBe(true);
    }
  });
});
