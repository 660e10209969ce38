/**
 * The power goes out behind every call that a run makes to the outside; what was not synced is lost. After the next start the
 * run comes to its end once, is mailed once, and was never seen half.
 */
import { mkdtemp, readdir, rename, rm, truncate, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT as T } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { type FileSystem, nodeFiles, type OpenFile } from '../../src/base/files.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { parseObject, parseStream } from '../../src/define/index.ts';
import { createReports, type RunningReports } from '../../src/reports/index.ts';
import type { ReportsParts } from '../../src/reports/parts.ts';
import { eventsTable, openChdb, StoreTables } from '../../src/store/index.ts';

class Dead extends Error {}

const EVERY = process.env.MILLRACE_TEST_EVERY_STEP ? 1 : 3;

const NOW = Date.UTC(2024, 2, 1, 12);
const STREAM = parseStream('ticks', { fields: { n: 'int64' } });
const REPORT = {
  ...{ period: '1h', email: { to: ['ops@example.com'] } },
  questions: { sums: { stream: 'ticks', stats: { fn: ['count', 'sum(n)'] } } },
};

let directory: string;
let engine: ReturnType<typeof openChdb>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-report-crash-'));
  engine = openChdb({ directory: join(directory, 'store'), readers: 2, writers: 1 });
  await new StoreTables(engine).createStream(T, STREAM);
  await engine.execute({
    text: `INSERT INTO ${eventsTable(T, STREAM.name)} (n, _id, _time, _received, _partition, _offset)
      SELECT number, toString(number), toDateTime64(${NOW / 1_000 - 60}, 3, 'UTC'), toDateTime64(${NOW / 1_000}, 3, 'UTC'), 0, number FROM numbers(10)`,
  });
});
afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

/** Dies at a call; whoever calls behind it hears the same. */
function createFate(dieAt: number, isDone: boolean) {
  let calls = 0;
  let isDead = false;
  const unsynced = new Set<string>();
  const renamed = new Map<string, string>();
  const underWay = new Set<Promise<unknown>>();
  const begun = <R>(work: () => Promise<R>): Promise<R> => {
    const working = work();
    const ended = working.then(
      () => void underWay.delete(ended),
      () => void underWay.delete(ended),
    );
    underWay.add(ended);
    return working;
  };
  const call = async <R>(work: () => Promise<R>): Promise<R> => {
    calls += 1;
    if (isDead) throw new Dead();
    if (calls !== dieAt) return begun(work);
    isDead = true;
    if (isDone) await begun(work);
    throw new Dead();
  };
  const watch = (path: string, file: OpenFile): OpenFile => ({
    ...file,
    writev: (chunks, position) =>
      call(async () => {
        unsynced.add(path);
        await file.writev(chunks, position);
      }),
    datasync: () =>
      call(async () => {
        await file.datasync();
        unsynced.delete(path);
      }),
    read: (into, position) => file.read(into, position),
    size: () => file.size(),
    close: () => file.close(),
  });
  const files: FileSystem = {
    ...nodeFiles,
    open: (path, mode) => call(async () => watch(path, await nodeFiles.open(path, mode))),
    mkdir: (path) => call(() => nodeFiles.mkdir(path)),
    rename: (from, to) =>
      call(async () => {
        await nodeFiles.rename(from, to);
        renamed.set(to, from);
        for (const path of [...unsynced].filter((one) => one.startsWith(`${from}/`))) {
          unsynced.delete(path);
          unsynced.add(to + path.slice(from.length));
        }
      }),
    unlink: (path) => call(() => nodeFiles.unlink(path)),
    rmdir: (path) => call(() => nodeFiles.rmdir(path)),
    syncDirectory: (path) =>
      call(async () => {
        await nodeFiles.syncDirectory(path);
        for (const to of renamed.keys()) if (dirname(to) === path) renamed.delete(to);
      }),
  };
  /** What was not made durable is not there any more. */
  const lose = async (): Promise<void> => {
    // Nothing of a dead process goes on, and no file is cut under a statement that reads it: the engine maps it into memory.
    while (underWay.size > 0) await Promise.all(underWay);
    for (const path of unsynced) await truncate(path, 0).catch(() => undefined);
    for (const [to, from] of renamed) await rename(to, from).catch(() => undefined);
    for (const path of unsynced) await unlink(path).catch(() => undefined);
  };
  return { call, files, lose, isDead: () => isDead, calls: () => calls };
}

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
};

async function story(dieAt: number, isDone: boolean) {
  const clock = new ManualClock(NOW);
  const catalog = await openCatalog(':memory:', clock);
  await catalog.put(T, STREAM);
  const known = { stream: () => STREAM, rollup: () => undefined, object: () => undefined };
  await catalog.put(T, parseObject('report', 'r', REPORT, known));
  const data = await mkdtemp(join(directory, 'data-'));
  await nodeFiles.mkdir(`${data}/scratch`);
  const fate = createFate(dieAt, isDone);
  const opened: RunningReports[] = [];
  const open = (guarded: boolean): RunningReports => {
    const { call } = guarded ? fate : { call: <R>(work: () => Promise<R>) => work() };
    const parts: ReportsParts = {
      ...{ clock, directory: data, timeoutSeconds: 30, files: guarded ? fate.files : nodeFiles },
      catalog: Object.assign(Object.create(catalog), {
        state: {
          ...catalog.state,
          write: (...change: Parameters<typeof catalog.state.write>) =>
            call(() => catalog.state.write(...change)),
        },
      }),
      engine: {
        query: (...asked) => call(() => engine.query(...asked)),
        rows: (...asked) => call(() => engine.rows(...asked)),
      },
      guests: engine,
      ingest: { state: () => ({ applied: 10 }) as never, applied: async () => undefined as never },
      log: { state: () => ({ end: 10 }) as never },
      tenants: { list: () => [T], state: () => 'active' },
      outbox: {
        entering: (_, { id }) => ({ area: 'mails', key: [id], value: id }),
        entered: () => undefined,
      } as ReportsParts['outbox'],
      logger: { error: () => undefined },
    };
    const reports = createReports(parts);
    opened.push(reports);
    return reports;
  };

  const first = open(true);
  const wish = { reason: 'test', atMs: NOW, id: 'firing-1' };
  await first.request(T, 'r', wish).catch(() => undefined);
  const ended = async (of: RunningReports) =>
    (await of.list(T, 'r')).some((run) => run.endedAtMs !== undefined);
  await until(async () => fate.isDead() || (await ended(first)));
  const calls = fate.calls();
  await fate.lose();

  const second = open(false);
  for (const run of await second.list(T, 'r')) {
    // What is seen is whole: a run that is done has every file, another one has none to be seen.
    if (run.state === 'done') for (const file of run.files) await second.read(T, run, file);
    else expect(run.files).toEqual([]);
  }
  await second.begin();
  // Whoever asked and did not hear the answer asks again.
  await second.request(T, 'r', wish);
  await until(() => ended(second));
  const runs = await second.list(T, 'r');
  const files = runs[0]!.files;
  for (const file of files) await second.read(T, runs[0]!, file);
  const found = {
    runs: runs.map(({ state, version, error }) => [state, version, error ?? null]),
    hashes: files.map(({ name, sha256 }) => [name, sha256]),
    mails: (await catalog.state.list(T, 'mails')).map(({ value }) => value),
    open: await catalog.state.list(T, 'reports', ['open']),
    directories: await readdir(join(data, 'reports', T, 'r')),
    scratch: fate.isDead() ? [] : await readdir(join(data, 'scratch')),
  };
  for (const reports of opened) await reports.stop();
  await catalog.close();
  return { found, calls };
}

describe('the power goes out in a run', () => {
  it('at any call: it comes to its end once, with the same bytes, and is mailed once', async () => {
    const { found: expected, calls } = await story(0, false);
    expect(expected).toMatchObject({ runs: [['done', 1, null]], open: [], scratch: [] });
    expect(expected.mails).toHaveLength(1);
    expect(expected.directories).toHaveLength(1);
    expect(calls).toBeGreaterThan(25);
    for (let dieAt = 1; dieAt <= calls; dieAt += EVERY) {
      // Behind a call is before the next one.
      const { found } = await story(dieAt, dieAt > 1);
      expect(found, `died at call ${dieAt}`).toEqual(expected);
    }
  }, 240_000);
});
