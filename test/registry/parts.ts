import { DEFAULT_TENANT, type Offset, type PartitionKey } from '../../src/base/brand.ts';
import { ManualClock, systemClock } from '../../src/base/clock.ts';
import { systemIds } from '../../src/base/ids.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import type { RegistryParts, SchemaStore } from '../../src/registry/index.ts';
import { createRuns } from '../../src/runs/index.ts';

export const TENANT = DEFAULT_TENANT;

/** The power goes out: nothing after it happens. */
export class PowerCut extends Error {}

/**
 * The real catalog; tables, log and ingest as sets that the registry's calls fill and empty. After
 * `stepsLeft` calls the power goes out.
 */
export async function recordingParts() {
  const catalog = await openCatalog(':memory:', new ManualClock());
  const calls: string[] = [];
  const tables = new Map<string, string[]>();
  /** Chunks that are in a rollup's table. */
  const chunks = new Map<string, number[]>();
  const begun = new Set<string>();
  /** Streams of which ingest keeps, on disk, how far they are applied. */
  const positions = new Set<string>();
  const power = { stepsLeft: Number.POSITIVE_INFINITY };
  let partitions: PartitionKey[] = [];
  let exclusive: string[] = [];

  const step = async (call: string): Promise<void> => {
    if (power.stepsLeft <= 0) throw new PowerCut();
    power.stepsLeft -= 1;
    calls.push(exclusive.length > 0 ? `${call} [only ${exclusive.join(', ')}]` : call);
    await Promise.resolve();
  };
  const columns = (stream: { readonly fields: readonly { readonly name: string }[] }) =>
    stream.fields.map((field) => field.name);

  const schema: SchemaStore = {
    createStream: async (_, stream) => {
      await step(`createStream ${stream.name}`);
      if (!tables.has(stream.name)) tables.set(stream.name, columns(stream));
    },
    widenStream: async (_, previous, next) => {
      await step(`widenStream ${next.name} ${columns(previous).length}→${columns(next).length}`);
      tables.set(next.name, columns(next));
    },
    dropStream: async (_, stream) => {
      await step(`dropStream ${stream.name}`);
      tables.delete(stream.name);
    },
    makeRollup: async (_, stream, rollup, version) => {
      await step(`makeRollup ${rollup.name} v${version} from ${stream.name}`);
      tables.set(`${rollup.name} v${version}`, [...rollup.by]);
      chunks.delete(`${rollup.name} v${version}`);
    },
    cutRollup: async () => {
      await step('cutRollup');
      return [1, 2].map((from) => ({ slices: [{ day: 1, partition: 0, from, to: from + 1 }], events: 1 }));
    },
    fillRollup: async (_, __, rollup, version, number) => {
      const name = `${rollup.name} v${version}`;
      await step(`fillRollup ${name} ${number}`);
      chunks.set(name, [...(chunks.get(name) ?? []), number]);
    },
    holdsChunk: async (_, rollup, version, number) => {
      await step(`holdsChunk ${number}`);
      return chunks.get(`${rollup} v${version}`)?.includes(number) ?? false;
    },
    sumsOfChunk: async () => {
      await step('sumsOfChunk');
      return { 60: { events: '1', checksum: '1' } };
    },
    sumsOfRanges: async () => ({}),
    // The fake counts chunks: one that is there twice is found out.
    sumsOfTable: async (_, __, rollup, version) => {
      await step('sumsOfTable');
      const count = String(chunks.get(`${rollup.name} v${version}`)?.length ?? 0);
      return { 60: { events: count, checksum: count } };
    },
    markRollup: async (_, __, rollup, version) => {
      await step(`markRollup ${rollup.name} v${version}`);
    },
    dropRollup: async (_, rollup, version) => {
      await step(`dropRollup ${rollup} v${version}`);
      tables.delete(`${rollup} v${version}`);
      chunks.delete(`${rollup} v${version}`);
    },
  };
  const parts: RegistryParts = {
    catalog: new Proxy(catalog, {
      get(target, property, receiver) {
        if (['put', 'remove', 'commitBuilds'].includes(property as string)) {
          if (power.stepsLeft <= 0) throw new PowerCut();
          power.stepsLeft -= 1;
        }
        return Reflect.get(target, property, receiver) as unknown;
      },
    }),
    schema,
    log: {
      partitions: () => partitions,
      remove: async (key) => {
        await step(`log.remove ${key.stream} ${key.partition}`);
        partitions = partitions.filter((one) => one !== key);
      },
    },
    runs: createRuns({
      catalog,
      clock: systemClock,
      ids: systemIds,
      logger: { info: () => undefined, error: () => undefined },
    }),
    ingest: {
      state: () => ({
        applied: 3 as Offset,
        watermarkMs: undefined,
        totals: { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 },
        appliedReceivedAtMs: 0,
      }),
      begin: async (_, stream) => {
        await step(`begin ${stream.name}`);
        begun.add(stream.name);
        positions.add(stream.name);
      },
      end: async (_, stream) => {
        await step(`end ${stream}`);
        if (begun.delete(stream)) positions.delete(stream);
      },
      exclusively: async (_, stream, work) => {
        exclusive = [...exclusive, stream];
        try {
          return await work();
        } finally {
          exclusive = exclusive.filter((one) => one !== stream);
        }
      },
    },
  };
  return {
    parts,
    catalog,
    calls,
    tables,
    begun,
    positions,
    power,
    logOf: (stream: string, count: number) => {
      const keys = Array.from(
        { length: count },
        (_, partition) => ({ tenant: TENANT, stream, partition }) as PartitionKey,
      );
      partitions = [...partitions, ...keys];
    },
    partitions: () => partitions,
    takeCalls: () => calls.splice(0),
  };
}

export type Recording = Awaited<ReturnType<typeof recordingParts>>;
