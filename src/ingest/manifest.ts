/**
 * What is durable about a partition's progress, as two small files that are replaced atomically:
 *
 *   position   := JSON { applied, watermarkMs?, receivedAtMs, totals }      everything below `applied` is in the store
 *   manifest   := JSON { from, to, streamVersion, watermarkMs?, duplicates }  the one batch that is being applied
 *
 * A batch is decided once: its manifest is durable before the first insert, and a retry follows the manifest, so
 * it inserts the same rows. A manifest whose `to` is not beyond `applied` is done.
 */

import type { Offset } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import type { IngestTotals } from './port.ts';

export interface Position {
  readonly applied: Offset;
  readonly watermarkMs: number | undefined;
  /** Arrival of the newest applied record, epoch ms; 0 before the first. */
  readonly receivedAtMs: number;
  readonly totals: IngestTotals;
}

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

export class Progress {
  readonly #files: FileSystem;
  readonly #directory: string;

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async load(): Promise<{ position: Position; manifest: Manifest | undefined }> {
    await this.#files.mkdir(this.#directory);
    // What a process that was killed had renamed shall not change back once it is acted upon.
    await this.#files.syncDirectory(this.#directory);
    const position = (await this.#read<Position>('position.json')) ?? START;
    const manifest = await this.#read<Manifest>('manifest.json');
    return { position, manifest: manifest && manifest.to > position.applied ? manifest : undefined };
  }

  savePosition(position: Position): Promise<void> {
    return this.#write('position.json', position);
  }

  saveManifest(manifest: Manifest): Promise<void> {
    return this.#write('manifest.json', manifest);
  }

  async #read<T>(name: string): Promise<T | undefined> {
    const bytes = await this.#files.readFile(`${this.#directory}/${name}`);
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T);
  }

  #write(name: string, value: object): Promise<void> {
    return this.#files.writeFileAtomic(`${this.#directory}/${name}`, Buffer.from(JSON.stringify(value)));
  }
}

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
