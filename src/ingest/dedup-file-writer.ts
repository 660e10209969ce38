/** Writes ids that come in order to a file, half a megabyte at a time. */
import { crc32 } from 'node:zlib';
import type { FileSystem, OpenFile } from '../base/files.ts';
import { IdFile, PAGE_BYTES, PAGE_IDS } from './dedup-file.ts';
import type { IdFilter } from './dedup-filter.ts';

const BUFFER_PAGES = 256;
const BUFFER_WORDS = BUFFER_PAGES * PAGE_IDS * 4;

export interface IdFilePlan {
  readonly path: string;
  /** No more ids than this are added. */
  readonly idsMax: number;
  /** What the file shall have for a filter; `fill`: it gets the ids as they are added. */
  readonly filter: { readonly filter: IdFilter; readonly fill: boolean } | undefined;
}

/** Writes what `work` adds. When anything fails the file is removed and the error passed on. */
export async function writeIdFile(
  files: FileSystem,
  plan: IdFilePlan,
  work: (writer: IdFileWriter) => Promise<void>,
): Promise<IdFile> {
  try {
    const file = await files.open(plan.path, 'create');
    try {
      const writer = new IdFileWriter(file, plan);
      await work(writer);
      return await writer.finish();
    } finally {
      await file.close();
    }
  } catch (error) {
    await files.unlink(plan.path).catch(() => undefined);
    throw error;
  }
}

export class IdFileWriter {
  readonly #file: OpenFile;
  readonly #plan: IdFilePlan;
  readonly #firsts: Int32Array;
  readonly #checksums: Uint32Array;
  readonly #buffer = new Int32Array(BUFFER_WORDS);
  #buffered = 0;
  #pages = 0;
  #count = 0;

  constructor(file: OpenFile, plan: IdFilePlan) {
    this.#file = file;
    this.#plan = plan;
    this.#firsts = new Int32Array(Math.ceil(plan.idsMax / PAGE_IDS));
    this.#checksums = new Uint32Array(this.#firsts.length);
  }

  /** All ids of `chunk`, each after the one before. */
  async add(chunk: Int32Array): Promise<void> {
    if (this.#plan.filter?.fill) {
      const { filter } = this.#plan.filter;
      for (let at = 0; at < chunk.length; at += 4) filter.add(chunk[at]!, chunk[at + 1]!, chunk[at + 2]!);
    }
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + BUFFER_WORDS - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      from += part.length;
      if (this.#buffered === BUFFER_WORDS) await this.#flush();
    }
  }

  async finish(): Promise<IdFile> {
    if (this.#buffered > 0) await this.#flush();
    return new IdFile(
      this.#plan.path,
      this.#count,
      this.#firsts.slice(0, this.#pages),
      this.#checksums.slice(0, this.#pages),
      this.#plan.filter?.filter,
    );
  }

  async #flush(): Promise<void> {
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#buffered * 4);
    for (let at = 0; at < bytes.byteLength; at += PAGE_BYTES) {
      this.#firsts[this.#pages] = this.#buffer[at / 4]!;
      this.#checksums[this.#pages] = crc32(bytes.subarray(at, at + PAGE_BYTES));
      this.#pages += 1;
    }
    await this.#file.writev([bytes], this.#count * 16);
    this.#count += this.#buffered / 4;
    this.#buffered = 0;
  }
}
