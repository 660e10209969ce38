/** Stored events of streams, in arrays: what `ingest` and `events` show of them. */
import type { Offset, PartitionKey } from '../../src/base/brand.ts';
import type { Versioned } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import type { StreamDefinition } from '../../src/define/model.ts';
import type { Events } from '../../src/stats/index.ts';

interface Stored {
  readonly offset: number;
  readonly json: string;
  readonly n: number;
}

export class Streams implements Pick<Events, 'matching'> {
  readonly #streams = new Map<string, { definition: StreamDefinition; partitions: Stored[][] }>();
  /** Applied records that are not stored events, such as duplicates, count too. */
  readonly #applied = new Map<string, number[]>();

  make(name: string, partitions = 1): void {
    const document = { fields: { n: 'int64' }, partitions, ...(partitions > 1 ? { partitionBy: 'n' } : {}) };
    const definition = parseStream(name, document);
    this.#streams.set(name, { definition, partitions: Array.from({ length: partitions }, () => []) });
    this.#applied.set(name, Array<number>(partitions).fill(0));
  }

  remove(name: string): void {
    this.#streams.delete(name);
  }

  store(name: string, ids: readonly string[], partition = 0): void {
    const stored = this.#streams.get(name)!.partitions[partition]!;
    const applied = this.#applied.get(name)!;
    for (const id of ids) {
      const offset = applied[partition]!;
      const n = stored.length;
      stored.push({
        ...{ offset, n },
        json: `{"n":${n},"big":18446744073709551615,"_id":${JSON.stringify(id)},"_time":"2026-01-01T00:00:00.000Z"}`,
      });
      applied[partition] = offset + 1;
    }
  }

  /** Records that leave no event. */
  skip(name: string, count: number, partition = 0): void {
    this.#applied.get(name)![partition]! += count;
  }

  definition(name: string): Versioned<StreamDefinition> | undefined {
    const stream = this.#streams.get(name);
    return stream && { definition: stream.definition, document: {}, version: 1, updatedAtMs: 0 };
  }

  applied({ stream, partition }: PartitionKey): Offset {
    return (this.#applied.get(stream)?.[partition] ?? 0) as Offset;
  }

  /** Knows the condition `n:gte:N`. */
  matching: Events['matching'] = async (_tenant, stream, { partition, from, to }, where, limit) => {
    const least = where.map((text) => Number(/^n:gte:(\d+)$/.exec(text)![1]));
    const found = this.#streams
      .get(stream)!
      .partitions[partition]!.filter(
        ({ offset, n }) => offset >= from && offset < to && least.every((one) => n >= one),
      );
    const events = found.slice(0, limit);
    return { events, upTo: events.length < limit ? to : events.at(-1)!.offset + 1 };
  };
}

export const NOTHING_APPLIED = {
  watermarkMs: undefined,
  appliedReceivedAtMs: 0,
  totals: { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 },
};
