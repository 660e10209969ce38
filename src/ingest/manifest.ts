/**
 * What is durable about a partition's progress, as two small files that are replaced atomically:
 *
 *   position   := JSON { applied, watermarkMs?, receivedAtMs, totals, arrivals? }   everything below `applied` is in the store
 *   manifest   := JSON { from, to, streamVersion, watermarkMs?, duplicates }  the one batch that is being applied
 *   name       := ( "position" | "manifest" ) [ "-" epoch ] ".json"           epoch of the owner who wrote it; absent: 0
 *
 * A batch is decided once: its manifest is durable before the first insert, and a retry follows the manifest, so
 * it inserts the same rows. A manifest whose `to` is not beyond `applied` is done.
 *
 * The greatest epoch counts. A new owner begins with a manifest of its own, the one that it found or an empty one: what
 * an owner that was paused and taken over from still renames into place is of a lesser epoch, and counts for nothing.
 */

import type { Offset } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import { NO_COUNTS } from './event-counts.ts';
import type { Arrivals, IngestTotals } from './port.ts';

export interface Position {
  readonly applied: Offset;
  readonly watermarkMs: number | undefined;
  /** Arrival of the newest applied record, epoch ms; 0 before the first. */
  readonly receivedAtMs: number;
  readonly totals: IngestTotals;
  /** Absent: none that are known of. */
  readonly arrivals?: Arrivals | undefined;
}

export const NO_ARRIVALS: Arrivals = Object.freeze({ late: NO_COUNTS, duplicates: NO_COUNTS });

export interface Manifest {
  readonly from: Offset;
  readonly to: Offset;
  /** Version of the stream's definition under which the batch was classified. */
  readonly streamVersion: number;
  /** Watermark before the batch. */
  readonly watermarkMs: number | undefined;
  /** Offsets of the duplicates as [first, last] ranges, ascending. */
  readonly duplicates: readonly (readonly [number, number])[];
}

export const START: Position = {
  applied: 0 as Offset,
  watermarkMs: undefined,
  receivedAtMs: 0,
  totals: { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 },
};

/** Promises nothing. */
const NO_BATCH: Manifest = {
  from: 0 as Offset,
  to: 0 as Offset,
  streamVersion: 0,
  watermarkMs: undefined,
  duplicates: [],
};

const NAME = /^(position|manifest)(?:-(\d{1,16}))?\.json$/;

interface Found {
  readonly name: string;
  readonly kind: string;
  readonly epoch: number;
}

export class Progress {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #epoch: number;

  /** `epoch`: of the owner who writes. */
  constructor(files: FileSystem, directory: string, epoch: number) {
    this.#files = files;
    this.#directory = directory;
    this.#epoch = epoch;
  }

  async load(): Promise<{ position: Position; manifest: Manifest | undefined }> {
    await this.#files.mkdir(this.#directory);
    // What a process that was killed had renamed shall not change back once it is acted upon.
    await this.#files.syncDirectory(this.#directory);
    const found = (await this.#files.readdir(this.#directory))
      .map(parseName)
      .filter((one) => one !== undefined);
    const [newestPosition, newestManifest] = [newestOf('position', found), newestOf('manifest', found)];
    const position = (newestPosition && (await this.#read<Position>(newestPosition))) ?? START;
    const promised = newestManifest && (await this.#read<Manifest>(newestManifest));
    const manifest = promised && promised.to > position.applied ? promised : undefined;
    if (newestManifest?.epoch !== this.#epoch) await this.saveManifest(manifest ?? NO_BATCH);
    for (const one of found) {
      if (one === newestPosition || one.epoch >= this.#epoch) continue;
      // Nobody reads it; should it stay, the next owner tries again.
      await this.#files.unlink(`${this.#directory}/${one.name}`).catch(() => undefined);
    }
    return { position, manifest };
  }

  savePosition(position: Position): Promise<void> {
    return this.#write('position', position);
  }

  saveManifest(manifest: Manifest): Promise<void> {
    return this.#write('manifest', manifest);
  }

  async #read<T>({ name }: Found): Promise<T | undefined> {
    const bytes = await this.#files.readFile(`${this.#directory}/${name}`);
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T);
  }

  #write(kind: string, value: object): Promise<void> {
    const name = this.#epoch === 0 ? kind : `${kind}-${this.#epoch}`;
    return this.#files.writeFileAtomic(`${this.#directory}/${name}.json`, Buffer.from(JSON.stringify(value)));
  }
}

function parseName(name: string): Found | undefined {
  const match = NAME.exec(name);
  return match ? { name, kind: match[1]!, epoch: Number(match[2] ?? 0) } : undefined;
}

const newestOf = (kind: string, found: readonly Found[]): Found | undefined =>
  found
    .filter((one) => one.kind === kind)
    .reduce<Found | undefined>(
      (newest, one) => (newest && newest.epoch > one.epoch ? newest : one),
      undefined,
    );

/** Ascending offsets as ranges: [3, 4, 5, 9] → [[3, 5], [9, 9]]. */
export function toRanges(offsets: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const offset of offsets) {
    const last = ranges.at(-1);
    if (last && last[1] === offset - 1) last[1] = offset;
    else ranges.push([offset, offset]);
  }
  return ranges;
}

/** The offsets of ascending ranges, the inverse of `toRanges`. */
export function* fromRanges(ranges: readonly (readonly [number, number])[]): Generator<number> {
  for (const [first, last] of ranges) for (let offset = first; offset <= last; offset += 1) yield offset;
}
