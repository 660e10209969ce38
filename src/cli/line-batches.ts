/** Chunks of NDJSON become batches that are ready to be sent; lines that need no change are copied as bytes. */
import type { Clock } from '../base/clock.ts';
import type { Batch } from '../client/index.ts';
import { Failure } from './io.ts';
import { membersOf, rewrite } from './splice.ts';

export interface LineRules {
  /** Record n gets `_id` = `idPrefix` + n, unless it has an `_id` of its own. */
  readonly idPrefix?: string | undefined;
  /** Field that gets the record's number. */
  readonly rowNumber?: string | undefined;
  readonly renames?: ReadonlyMap<string, string>;
  /** Fields whose text is JSON. */
  readonly jsonCells?: ReadonlySet<string>;
}

export interface BatchingOptions {
  readonly batchBytes: number;
  readonly batchEvents: number;
  /** Number of the first record that comes out of the chunks, and its position in the file. */
  readonly firstRecord: number;
  readonly firstByte: number;
  /** Records to pass over before the first that is sent. */
  readonly skip: number;
  /** A batch that has waited so long goes as it is: for sources that come slowly. */
  readonly linger?: { readonly ms: number; readonly clock: Clock };
}

export interface FileBatch extends Batch {
  /** Position in the chunks right after the batch's last line. */
  readonly endByte: number;
}

/** Far above what a server takes for one event; past it the file is surely not lines of JSON. */
const LINE_BYTES_MAX = 64 * 2 ** 20;
const NEWLINE = 10;
const OPEN = 0x7b;
const OWN_ID = Buffer.from('"_id"');

export async function* lineBatches(
  chunks: AsyncIterable<Buffer>,
  rules: LineRules,
  options: BatchingOptions,
): AsyncGenerator<FileBatch> {
  const batch = new Batcher(rules, options);
  const iterator = chunks[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  try {
    let next = iterator.next();
    for (;;) {
      const arrived = await (batch.count > 0 && options.linger
        ? Promise.race([next, options.linger.clock.sleep(options.linger.ms)])
        : next);
      if (arrived === undefined) {
        yield batch.cut();
        continue;
      }
      if (arrived.done) break;
      next = iterator.next();
      // The chunk is looked at while the next one is being read; its failure is seen in its turn.
      next.catch(() => undefined);
      const data = rest.length === 0 ? arrived.value : Buffer.concat([rest, arrived.value]);
      let start = 0;
      for (;;) {
        const end = data.indexOf(NEWLINE, start);
        if (end < 0) break;
        batch.add(data, start, end, 1);
        start = end + 1;
        if (batch.full) yield batch.cut();
      }
      rest = data.subarray(start);
      if (rest.length > LINE_BYTES_MAX) {
        throw new Failure(
          `record ${batch.record} is longer than ${LINE_BYTES_MAX / 2 ** 20} MiB; is the format right?`,
        );
      }
    }
    if (rest.length > 0) batch.add(rest, 0, rest.length, 0);
    if (batch.count > 0) yield batch.cut();
  } finally {
    await iterator.return?.();
  }
}

class Batcher {
  /** Number of the next record. */
  record: number;
  count = 0;
  readonly #rules: LineRules;
  readonly #options: BatchingOptions;
  readonly #rewrites: boolean;
  #skip: number;
  #position: number;
  #bytes: Buffer;
  #size = 0;

  constructor(rules: LineRules, options: BatchingOptions) {
    this.#rules = rules;
    this.#options = options;
    this.#rewrites = (rules.renames?.size ?? 0) > 0 || (rules.jsonCells?.size ?? 0) > 0;
    this.record = options.firstRecord;
    this.#skip = options.skip;
    this.#position = options.firstByte;
    this.#bytes = Buffer.allocUnsafe(options.batchBytes + 4_096);
  }

  get full(): boolean {
    return this.count >= this.#options.batchEvents || this.#size >= this.#options.batchBytes;
  }

  /** Takes the line `[start, end)`, which ends with a newline of `newline` bytes. */
  add(data: Buffer, start: number, end: number, newline: number): void {
    this.#position += end - start + newline;
    let first = start;
    while (first < end && isSpace(data[first]!)) first += 1;
    if (first === end) return;
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    const number = this.record;
    this.record += 1;
    this.count += 1;
    if (data[first] !== OPEN) {
      this.#put('', data, first, end);
      return;
    }
    if (this.#rewrites) {
      const text = rewrite(
        data.toString('latin1', first, end),
        this.#rules.renames ?? new Map(),
        this.#rules.jsonCells ?? new Set(),
      );
      const line = Buffer.from(text, 'latin1');
      this.#spliced(line, 0, line.length, number);
    } else this.#spliced(data, first, end, number);
  }

  cut(): FileBatch {
    const batch = {
      body: this.#bytes.subarray(0, this.#size),
      count: this.count,
      first: this.record - this.count,
      endByte: this.#position,
    };
    this.#bytes = Buffer.allocUnsafe(this.#options.batchBytes + 4_096);
    this.#size = 0;
    this.count = 0;
    return batch;
  }

  /** What is added stands in front: of two equal keys the server takes the first. */
  #spliced(data: Buffer, start: number, end: number, number: number): void {
    const { idPrefix, rowNumber } = this.#rules;
    let added = '';
    if (rowNumber !== undefined) added += `"${rowNumber}":${number}`;
    if (idPrefix !== undefined && !hasOwnId(data, start, end)) {
      added += `${added === '' ? '' : ','}"_id":"${idPrefix}${number}"`;
    }
    if (added === '') {
      this.#put('', data, start, end);
      return;
    }
    let next = start + 1;
    while (next < end && isSpace(data[next]!)) next += 1;
    this.#put(data[next] === 0x7d ? `{${added}` : `{${added},`, data, start + 1, end);
  }

  #put(prefix: string, data: Buffer, start: number, end: number): void {
    const size = prefix.length + end - start + 1;
    if (this.#size + size > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#size + size));
      this.#bytes.copy(larger, 0, 0, this.#size);
      this.#bytes = larger;
    }
    // Names of fields and ids are ASCII.
    if (prefix !== '') this.#size += this.#bytes.write(prefix, this.#size, 'latin1');
    this.#size += data.copy(this.#bytes, this.#size, start, end);
    this.#bytes[this.#size] = NEWLINE;
    this.#size += 1;
  }
}

function hasOwnId(data: Buffer, start: number, end: number): boolean {
  const line = data.subarray(start, end);
  if (!line.includes(OWN_ID)) return false;
  return membersOf(line.toString('latin1'))?.some((member) => member.key === '_id') ?? false;
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d;
