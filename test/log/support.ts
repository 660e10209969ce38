import { expect } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import type { Log, LogBlock, Records } from '../../src/log/index.ts';

export const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 's' as StreamName, partition: 0 };
export const START_MS = Date.UTC(2024, 0, 1);

export const at = (offset: number): Offset => offset as Offset;

export function records(...lines: string[]): Records {
  const chunks = lines.map((line) => Buffer.from(`${line}\n`));
  return { chunks, count: lines.length, bytes: chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0) };
}

export const linesOf = (block: LogBlock): string[] => {
  const lines = Buffer.from(block.payload).toString().split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.length).toBe(block.count);
  return lines;
};

/** Every block from `from` on, held to the promises that every read must keep. */
export async function blocksFrom(log: Log, from: number, bytesMax = 4_096): Promise<LogBlock[]> {
  const all: LogBlock[] = [];
  for (let next = from; ; ) {
    const blocks = await log.read(KEY, at(next), bytesMax);
    if (blocks.length === 0) break;
    for (const block of blocks) {
      const before = all.at(-1);
      if (before) expect(block.baseOffset).toBe(before.baseOffset + before.count);
      else expect(block.baseOffset).toBeLessThanOrEqual(from);
      expect(block.receivedAtMs).toBeGreaterThanOrEqual(before?.receivedAtMs ?? 0);
      expect(block.idBase.byteLength).toBe(16);
      all.push(block);
    }
    next = all.at(-1)!.baseOffset + all.at(-1)!.count;
  }
  const last = all.at(-1);
  if (last) expect(last.baseOffset + last.count).toBe(log.state(KEY).end);
  return all;
}

export async function linesFrom(log: Log, from: number, bytesMax?: number): Promise<string[]> {
  const blocks = await blocksFrom(log, from, bytesMax);
  return blocks.flatMap((block) => linesOf(block).slice(Math.max(0, from - block.baseOffset)));
}
