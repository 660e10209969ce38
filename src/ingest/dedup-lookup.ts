/**
 * Looks ids up in a file. The filter says which may be there; of those the page is read that would hold them. Pages
 * that lie near are read together, a few reads at a time: at worst the file is read once from front to end.
 */
import type { FileSystem } from '../base/files.ts';
import { type IdFile, PAGE_BYTES, PAGE_IDS, readPages, withIdFile } from './dedup-file.ts';
import { compareIds } from './dedup-words.ts';

/** Reading on over pages that nobody asked for is cheaper than another read. */
const GAP_PAGES = 4;
const READ_PAGES_MAX = 128;
const READS_AT_ONCE = 4;

/** The ids of a batch, by rising first word: `marks[i]` is the greatest bucket in which id `i` of `words` was found. */
export interface Marks {
  readonly words: Int32Array;
  readonly marks: Float64Array;
}

/** Raises to `mark` the marks of those ids that are in the file. Rejects with `IdFileUnreadable`. */
export async function markFound(files: FileSystem, idFile: IdFile, ids: Marks, mark: number): Promise<void> {
  const candidates = candidatesOf(idFile, ids, mark);
  if (candidates.length === 0) return;
  const reads = readsFor(idFile, ids.words, candidates);
  await withIdFile(files, idFile, async (file) => {
    let next = 0;
    const worker = async (): Promise<void> => {
      const buffer = new Int32Array((READ_PAGES_MAX * PAGE_BYTES) / 4);
      for (;;) {
        const read = reads[next];
        if (!read) return;
        next += 1;
        const wide = read.toPage - read.fromPage > READ_PAGES_MAX;
        const into = wide ? new Int32Array(((read.toPage - read.fromPage) * PAGE_BYTES) / 4) : buffer;
        await readPages(file, idFile, read.fromPage, read.toPage, new Uint8Array(into.buffer));
        const first = read.fromPage * PAGE_IDS;
        const count = Math.min(read.toPage * PAGE_IDS, idFile.count) - first;
        for (let i = read.from; i < read.to; i += 1) {
          const one = candidates[i]!;
          if (isAmong(into, count, ids.words, one)) ids.marks[one] = mark;
        }
      }
    };
    await allOf(Array.from({ length: Math.min(READS_AT_ONCE, reads.length) }, worker));
  });
  idFile.failures = 0;
}

/** All must have ended before the file is closed, also when one has failed. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Those that the filter lets through and that were not found in a newer bucket, in order. */
function candidatesOf(idFile: IdFile, { words, marks }: Marks, mark: number): Uint32Array {
  const { filter } = idFile;
  const candidates = new Uint32Array(marks.length);
  let count = 0;
  for (let i = 0; i < marks.length; i += 1) {
    if (marks[i]! >= mark) continue;
    if (filter && !filter.mayHave(words[i * 4]!, words[i * 4 + 1]!, words[i * 4 + 2]!)) continue;
    candidates[count] = i;
    count += 1;
  }
  return candidates.slice(0, count);
}

interface Read {
  /** Candidates [from, to) lie in the pages [fromPage, toPage). */
  readonly from: number;
  to: number;
  readonly fromPage: number;
  toPage: number;
}

function readsFor(idFile: IdFile, words: Int32Array, candidates: Uint32Array): readonly Read[] {
  const reads: Read[] = [];
  let last: Read | undefined;
  for (let i = 0; i < candidates.length; i += 1) {
    const [fromPage, toPage] = pagesOf(idFile, words[candidates[i]! * 4]!);
    if (fromPage === toPage) continue;
    if (last && fromPage <= last.toPage + GAP_PAGES && toPage - last.fromPage <= READ_PAGES_MAX) {
      last.to = i + 1;
      last.toPage = Math.max(last.toPage, toPage);
    } else {
      last = { from: i, to: i + 1, fromPage, toPage };
      reads.push(last);
    }
  }
  return reads;
}

/** The pages that may hold ids with this first word: one, unless the word stands at a border between pages. */
function pagesOf(idFile: IdFile, a: number): readonly [number, number] {
  const { firsts } = idFile;
  let low = 0;
  let high = firsts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (firsts[middle]! <= a) low = middle + 1;
    else high = middle;
  }
  // All pages before `low` begin with at most `a`; ids with `a` may begin at the end of the page before the first such.
  let from = Math.max(0, low - 1);
  while (from > 0 && firsts[from] === a) from -= 1;
  return [from, low];
}

function isAmong(sorted: Int32Array, count: number, words: Int32Array, one: number): boolean {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareIds(sorted, middle, words, one);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}
