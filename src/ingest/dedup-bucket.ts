/** The ids that arrived in one span of time: tables in memory, runs on disk. Each id is in one of them. */
import type { Run } from './dedup-run.ts';
import { IdTable } from './dedup-table.ts';

export class Bucket {
  /** Floor of the arrival over the width of a bucket. */
  readonly number: number;
  /** The last may be written to; those before it are on their way to the disk. */
  tables: readonly IdTable[] = [];
  /** From the oldest to the newest. */
  runs: readonly Run[] = [];
  #active: IdTable | undefined;

  constructor(number: number) {
    this.number = number;
  }

  /** The table that is written to. */
  get active(): IdTable {
    return this.#active ?? this.begin(0);
  }

  /** Begins a table for so many ids. */
  begin(expected: number): IdTable {
    const table = new IdTable(expected);
    this.#active = table;
    this.tables = [...this.tables, table];
    return table;
  }

  /** The table to spill next, which is not written to from now on: one that was tried before, else the active one. */
  freeze(): IdTable | undefined {
    const table = this.tables.find((one) => one.count > 0);
    if (table === this.#active) this.#active = undefined;
    return table;
  }

  /** The ids of `table` are in `run` now. */
  moved(table: IdTable, run: Run): void {
    this.tables = this.tables.filter((one) => one !== table);
    this.runs = [...this.runs, run];
  }

  /** The ids of `parts` are in `run` now. */
  merged(parts: readonly Run[], run: Run): void {
    this.runs = this.runs.map((one) => (one === parts[0] ? run : one)).filter((one) => !parts.includes(one));
  }

  get tableBytes(): number {
    return this.tables.reduce((sum, table) => sum + table.bytes, 0);
  }

  /** Bytes of the tables that hold something. */
  get spillableBytes(): number {
    return this.tables.reduce((sum, table) => sum + (table.count > 0 ? table.bytes : 0), 0);
  }

  get runBytes(): number {
    return this.runs.reduce((sum, run) => sum + run.bytes, 0);
  }

  get filterBytes(): number {
    return this.runs.reduce((sum, run) => sum + (run.filter?.bytes ?? 0), 0);
  }

  get ids(): number {
    return (
      this.tables.reduce((sum, table) => sum + table.count, 0) +
      this.runs.reduce((sum, run) => sum + run.count, 0)
    );
  }
}
