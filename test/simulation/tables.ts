/** The store of a simulation: tables are lists of blocks, and a block is there whole or not at all. */
import type { RollupDefinition } from '../../src/define/model.ts';

export interface Row {
  readonly partition: number;
  readonly offset: number;
  readonly receivedAtMs: number;
  readonly line: string;
  readonly id: number;
  readonly timeMs: number;
  readonly key: string;
  readonly value: number;
  /** In the table of discarded records. */
  readonly why?: 'late' | 'duplicate';
}

/** Bucket and dimension to [count, sum]. */
export type Sums = ReadonlyMap<string, readonly [number, number]>;

export interface Block {
  readonly rows: readonly Row[];
  readonly sums: Sums;
  /** In a rollup: offsets of these partitions below these are in the table. */
  readonly marks: ReadonlyMap<number, number>;
  /** The disk has it. */
  durable: boolean;
}

export const sumsOf = (rollup: RollupDefinition, rows: readonly Row[]): Sums => {
  const sums = new Map<string, [number, number]>();
  for (const row of rows) {
    const width = rollup.everySeconds * 1_000;
    const key = `${Math.floor(row.timeMs / width)} ${rollup.by.includes('k') ? row.key : ''}`;
    const sum = sums.get(key) ?? [0, 0];
    sums.set(key, [sum[0] + 1, sum[1] + row.value]);
  }
  return sums;
};

export class Tables {
  readonly #tables = new Map<string, Block[]>();

  blocks(table: string): Block[] {
    let blocks = this.#tables.get(table);
    if (!blocks) {
      blocks = [];
      this.#tables.set(table, blocks);
    }
    return blocks;
  }

  rows(table: string): Row[] {
    return this.blocks(table).flatMap((block) => block.rows);
  }

  sums(table: string): Sums {
    const all = new Map<string, readonly [number, number]>();
    for (const { sums } of this.blocks(table))
      for (const [key, [count, sum]] of sums) {
        const before = all.get(key) ?? [0, 0];
        all.set(key, [before[0] + count, before[1] + sum]);
      }
    return all;
  }

  drop(table: string): void {
    this.#tables.delete(table);
  }

  /** The machine dies: each block that was not synced is there afterwards, or not. */
  cutPower(isKept: () => boolean): void {
    for (const [table, blocks] of this.#tables)
      this.#tables.set(
        table,
        blocks.filter((block) => block.durable || isKept()).map((block) => ({ ...block, durable: true })),
      );
  }
}
