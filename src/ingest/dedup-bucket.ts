/** The ids that arrived in one span of time: tables in memory, files on disk. Each id is in one of them. */
import type { IdFile } from './dedup-file.ts';
import { IdTable } from './dedup-table.ts';

export class Bucket {
  /** Floor of the arrival over the width of a bucket. */
  readonly number: number;
  /** The last may be written to; those before it are on their way to the disk. */
  tables: readonly IdTable[] = [];
  /** From the oldest to the newest. */
  idFiles: readonly IdFile[] = [];
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

  /** The ids of `table` are in `file` now. */
  moved(table: IdTable, idFile: IdFile): void {
    this.tables = this.tables.filter((one) => one !== table);
    this.idFiles = [...this.idFiles, idFile];
  }

  /** The ids of `parts` are in `file` now. */
  merged(parts: readonly IdFile[], idFile: IdFile): void {
    this.idFiles = this.idFiles
      .map((one) => (one === parts[0] ? idFile : one))
      .filter((one) => !parts.includes(one));
  }

  get tableBytes(): number {
    return this.tables.reduce((sum, table) => sum + table.bytes, 0);
  }

  /** Bytes of the tables that hold something. */
  get spillableBytes(): number {
    return this.tables.reduce((sum, table) => sum + (table.count > 0 ? table.bytes : 0), 0);
  }

  get idFileBytes(): number {
    return this.idFiles.reduce((sum, idFile) => sum + idFile.bytes, 0);
  }

  get filterBytes(): number {
    return this.idFiles.reduce((sum, idFile) => sum + (idFile.filter?.bytes ?? 0), 0);
  }

  get ids(): number {
    return (
      this.tables.reduce((sum, table) => sum + table.count, 0) +
      this.idFiles.reduce((sum, idFile) => sum + idFile.count, 0)
    );
  }
}
