/** `node dist/bench/ingest-child.js '{IngestJob}'`: writes the log first, then times ingest until all is applied. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { nodeFiles } from '../src/base/files.ts';
import { systemIds } from '../src/base/ids.ts';
import { unowned } from '../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../src/catalog/index.ts';
import { parseRollup, parseStream } from '../src/define/index.ts';
import { createIngest, DEDUP_MEMORY_DEFAULT, DedupMemory, engineStore } from '../src/ingest/index.ts';
import { type Log, openFileLog } from '../src/log/index.ts';
import { type Engine, eventsTable, openChdb, rollupTable, StoreTables } from '../src/store/index.ts';
import { STREAM, streamDocument } from './definitions.ts';
import { renderLines, Stamp } from './events.ts';
import type { IngestJob, IngestResult } from './ingest-job.ts';

/** What the log's group commit writes at once under load. */
const BLOCK_BYTES = 2 ** 20;
/** Events a second of event time: it decides how many fall into one bucket. */
const EVENT_TIME_RATE = 100_000;

const stream = (job: IngestJob) => parseStream(STREAM, streamDocument({ dedup: job.dedup }));
const PARTITION = {
  tenant: DEFAULT_TENANT,
  stream: parseStream(STREAM, streamDocument()).name,
  partition: 0,
};

const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-ingest-'));
try {
  const result = await run(JSON.parse(process.argv[2] ?? '{}') as IngestJob);
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function run(job: IngestJob): Promise<IngestResult> {
  const clock = systemClock;
  const files = nodeFiles;
  const engine = openChdb({
    directory: `${directory}/store`,
    ...(job.fsyncParts === false ? { files: { ...nodeFiles, syncDirectory: async () => undefined } } : {}),
  });
  const catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
  const log = await openFileLog({ directory: `${directory}/log`, files, clock, ids: systemIds, lingerMs: 0 });
  const failures: unknown[] = [];
  const ingest = createIngest({
    catalog,
    log,
    store: engineStore({
      engine,
      files,
      directory,
      memory: new DedupMemory({ bytesMax: DEDUP_MEMORY_DEFAULT }),
    }),
    files,
    clock,
    owner: unowned,
    directory,
    onFailure: (error) => failures.push(error),
  });
  const definition = stream(job);
  const tables = new StoreTables(engine);
  await catalog.put(DEFAULT_TENANT, definition);
  await tables.createStream(DEFAULT_TENANT, definition);
  for (const [name, document] of Object.entries(job.rollups)) {
    const rollup = parseRollup(name, document, () => definition);
    const { version } = await catalog.put(DEFAULT_TENANT, rollup);
    await tables.buildRollup(DEFAULT_TENANT, definition, rollup, version);
  }
  if (job.fsyncParts === false) await leaveToFileSystem(engine, catalog);
  await writeLog(log, job);

  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await ingest.begin(DEFAULT_TENANT, definition);
  await ingest.applied(PARTITION, 0 as Offset, job.events as Offset);
  const seconds = (performance.now() - start) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  const { stored } = ingest.state(PARTITION).totals;
  const rssBytes = process.memoryUsage.rss();
  if (failures.length > 0) throw failures[0];

  const groups: Record<string, number> = {};
  for (const { definition: rollup, version } of catalog.rollups(DEFAULT_TENANT)) {
    const table = rollupTable(DEFAULT_TENANT, rollup.name, version);
    const text = `SELECT count() AS buckets, sum(n) AS events FROM (SELECT sum(_count) AS n FROM ${table} WHERE _tier = {tier:UInt32} GROUP BY _bucket, ${rollup.by.join(', ')})`;
    const rows = await engine.rows<{ buckets: string; events: string }>({
      text,
      params: { tier: rollup.everySeconds },
    });
    if (Number(rows[0]?.events) !== stored) throw new Error(`${rollup.name} holds ${rows[0]?.events} events`);
    groups[rollup.name] = Number(rows[0]?.buckets);
  }
  await log.close();
  await ingest.stop();
  await engine.close();
  await catalog.close();
  return { seconds, stored, cpuSeconds: (cpu.user + cpu.system) / 1e6, rssBytes, groups };
}

/** As if the tables had been made without their settings for durability. */
async function leaveToFileSystem(engine: Engine, catalog: Catalog): Promise<void> {
  const rollups = catalog.rollups(DEFAULT_TENANT);
  const tables = [
    eventsTable(DEFAULT_TENANT, STREAM),
    ...rollups.map(({ definition, version }) => rollupTable(DEFAULT_TENANT, definition.name, version)),
  ];
  for (const table of tables) {
    await engine.execute({
      text: `ALTER TABLE ${table} MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0`,
    });
  }
}

async function writeLog(log: Log, job: IngestJob): Promise<void> {
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / (job.eventBytes + 1)));
  const lines = renderLines(Math.max(4_096, perBlock), job.eventBytes, 7);
  const stamp = new Stamp(1, 2);
  const beginMs = Date.now() - (job.events * 1_000) / EVENT_TIME_RATE;
  for (let written = 0; written < job.events; ) {
    const count = Math.min(perBlock, job.events - written);
    const first = written % lines.length;
    const chosen = Array.from({ length: count }, (_, i) => lines[(first + i) % lines.length]!);
    const chunk = Buffer.from(`${chosen.join('\n')}\n`);
    stamp.setTime(beginMs + (written * 1_000) / EVENT_TIME_RATE);
    for (let i = 0; i < count; i += 1) stamp.write(chunk, i * (job.eventBytes + 1), written + i);
    await log.append(PARTITION, { chunks: [chunk], count, bytes: chunk.length });
    written += count;
  }
}
