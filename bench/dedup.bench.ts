/**
 * Remembering ids: what an id costs while all are in memory, while most lie on disk behind filters, and while there is
 * no room for filters either. A tenth of the ids come twice, from anywhere in the horizon. Then the index is made from
 * a store with as many events.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type StreamName } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { nodeFiles } from '../src/base/files.ts';
import { parseStream } from '../src/define/index.ts';
import { DedupIndex } from '../src/ingest/dedup-index.ts';
import { DedupMemory } from '../src/ingest/dedup-memory.ts';
import { RememberedIds } from '../src/ingest/remembered-ids.ts';
import { eventsTable, openChdb, StoreTables } from '../src/store/index.ts';
import { type BenchOptions, type Print, progress, round, spread } from './figure.ts';

const HORIZON_MS = 86_400_000;
const BUCKETS = 8;
const START_MS = Date.UTC(2024, 0, 1);
const END_MS = START_MS + HORIZON_MS;
const STREAM = parseStream('clicks', {
  fields: { id: 'uint64' },
  eventId: 'id',
  dedupe: { within: '24h' },
});

const SIZES = {
  small: { ids: 60_000, batches: 2, batchIds: 2_000 },
  full: { ids: 16_800_000, batches: 40, batchIds: 50_000 },
} as const;

/** `budget`: bytes an id; what is held in memory shows which of the three it became. */
const CASES = [
  { name: 'in memory', budget: 40 },
  { name: 'on disk behind filters', budget: 5 },
  { name: 'on disk without filters', budget: 0.5 },
] as const;

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const size = SIZES[options.size];
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-dedup-'));
  try {
    for (const { name, budget } of CASES) {
      progress(`dedup: ${name}`);
      print(await drive(name, Math.max(2 ** 18, size.ids * budget), size, join(directory, 'ids')));
    }
    progress('dedup: made from the store');
    print(await rebuild(size.ids, directory));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function drive(
  name: string,
  budget: number,
  size: (typeof SIZES)[keyof typeof SIZES],
  directory: string,
) {
  const memory = new DedupMemory({ bytesMax: budget });
  const index = new DedupIndex(HORIZON_MS, { memory, files: nodeFiles, directory });
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const first = (bucket * size.ids) / BUCKETS;
    const atMs = START_MS + (bucket * HORIZON_MS) / BUCKETS;
    for (let from = first; from < first + size.ids / BUCKETS; from += size.batchIds) {
      const to = Math.min(from + size.batchIds, first + size.ids / BUCKETS);
      await index.load(wordsOf(Array.from({ length: to - from }, (_, i) => from + i)), atMs);
    }
  }
  await index.settle();
  await index.idle();

  let duplicates = 0;
  let bytesMost = 0;
  let next = size.ids;
  const tookMs: number[] = [];
  const cpuMs: number[] = [];
  // The first batch is only there to be compiled for.
  for (let batch = 0; batch <= size.batches; batch += 1) {
    const numbers = Array.from({ length: size.batchIds }, (_, i) => {
      if (i % 10 === 9) return (i * 7_919 + batch * 104_729) % size.ids;
      next += 1;
      return next;
    });
    const words = wordsOf(numbers);
    const began = systemClock.monotonicMs();
    const cpuBegan = process.cpuUsage();
    await index.prepare(words);
    for (let at = 0; at < words.length; at += 4) {
      const [a, b, c, d] = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
      if (index.has(a, b, c, d, END_MS)) duplicates += 1;
      else index.add(a, b, c, d, END_MS);
    }
    tookMs.push(systemClock.monotonicMs() - began);
    const { user, system } = process.cpuUsage(cpuBegan);
    cpuMs.push((user + system) / 1_000);
    bytesMost = Math.max(bytesMost, memory.bytes);
    await index.settle();
  }
  const expected = (size.batchIds / 10) * (size.batches + 1);
  if (duplicates !== expected) throw new Error(`${duplicates} duplicates were found, ${expected} were there`);
  await index.idle();
  const { state } = index;
  await index.close();
  const perId = (ms: readonly number[]) => spread(ms.slice(1).map((one) => (one / size.batchIds) * 1e6));
  const took = perId(tookMs);
  return {
    bench: 'dedup',
    case: name,
    ns_per_id: round(took.median),
    ns_per_id_best_batch: round(took.least),
    ns_per_id_worst_batch: round(took.most),
    cpu_ns_per_id: round(perId(cpuMs).median),
    bytes_per_id: round(state.bytes / state.ids, 2),
    budget_bytes: budget,
    bytes_most: bytesMost,
    bytes_on_disk: state.bytesOnDisk,
    ids: state.ids,
    ids_on_disk: state.idsOnDisk,
    files: state.idFiles,
    files_without_filter: state.filesWithoutFilter,
    duplicates,
  };
}

/** Four words that follow from the number, spread like a hash. */
function wordsOf(numbers: readonly number[]): Uint32Array {
  const words = new Uint32Array(numbers.length * 4);
  numbers.forEach((number, i) => {
    for (let word = 0; word < 4; word += 1) {
      let h = Math.imul(number + word * 0x9e37_79b1, 0x85eb_ca6b);
      h = Math.imul(h ^ (h >>> 15), 0xc2b2_ae35);
      words[i * 4 + word] = h ^ (h >>> 13);
    }
  });
  return words;
}

async function rebuild(events: number, directory: string) {
  const engine = openChdb({ directory: join(directory, 'store') });
  try {
    await new StoreTables(engine).createStream(DEFAULT_TENANT, STREAM);
    const parts = 8;
    for (let part = 0; part < parts; part += 1) {
      await engine.execute({
        text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, STREAM.name)} (id, _id, _id_hash, _time, _received, _partition, _offset)
SELECT number, toString(number), reinterpretAsUInt128(sipHash128Reference(toString(number))), at, at, 0, number
FROM (SELECT number, fromUnixTimestamp64Milli(toInt64(${START_MS} + intDiv(number * ${HORIZON_MS - 1}, ${events})), 'UTC') AS at FROM numbers(${(part * events) / parts}, ${events / parts}))`,
      });
    }
    const memory = new DedupMemory({ bytesMax: 4 * 2 ** 30 });
    const ids = new RememberedIds({
      ...{ engine, memory, files: nodeFiles, directory: join(directory, 'scratch') },
      ...{ tenant: DEFAULT_TENANT, stream: STREAM.name as StreamName },
    });
    const began = systemClock.monotonicMs();
    const index = (await ids.of(STREAM, END_MS))!;
    const tookMs = systemClock.monotonicMs() - began;
    await index.idle();
    const { state } = index;
    if (state.ids !== events) throw new Error(`${state.ids} ids came out of ${events}`);
    await ids.close();
    return {
      bench: 'dedup',
      case: 'made from the store',
      seconds: round(tookMs / 1_000, 2),
      ns_per_id: round((tookMs / events) * 1e6),
      bytes_per_id: round(state.bytes / state.ids, 2),
      ids: events,
    };
  } finally {
    await engine.close();
  }
}
