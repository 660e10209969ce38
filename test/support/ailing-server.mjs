/**
 * The server, built as it is, on a machine that fails it: `AILMENT` is `slow-sync` (each fsync of the log takes its
 * time), `jumping-clock` (the clock jumps to and fro by up to 20 minutes), or `little-memory` (for some seconds after
 * the first insert the engine has too little memory for inserts).
 */
import { built } from '../../bin/built.cjs';
import { executing, serve } from './serve-as-child.mjs';

const { systemClock } = await import(built('base/clock'));
const { nodeFiles } = await import(built('base/files'));

const ailment = process.env.AILMENT;
const SLOW_MS = 150;
const JUMP_MS = 20 * 60_000;
const HUNGRY_MS = 3_000;

const slowFiles = {
  ...nodeFiles,
  open: async (path, mode) => {
    const file = await nodeFiles.open(path, mode);
    if (!path.endsWith('.log')) return file;
    return {
      writev: (chunks, position) => file.writev(chunks, position),
      read: (into, position) => file.read(into, position),
      datasync: async () => {
        await systemClock.sleep(SLOW_MS);
        await file.datasync();
      },
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
    };
  },
};

let asked = 0;
const jumpingClock = {
  now: () => {
    asked += 1;
    // Not at random: the same question gets the same jump in every run.
    return systemClock.now() + Math.round(JUMP_MS * Math.sin(asked / 7));
  },
  monotonicMs: () => systemClock.monotonicMs(),
  sleep: (ms, signal) => systemClock.sleep(ms, signal),
};

let hungryUntilMs;
const hungry = executing((engine, statement) => {
  if (!/^INSERT INTO [^.]+\.`?(events|rollup|discarded|quarantine)_/.test(statement.text))
    return engine.execute(statement);
  hungryUntilMs ??= systemClock.monotonicMs() + HUNGRY_MS;
  if (systemClock.monotonicMs() > hungryUntilMs) return engine.execute(statement);
  return engine.execute({ ...statement, text: `${statement.text} SETTINGS max_memory_usage = 20000` });
});

await serve({
  ...(ailment === 'slow-sync' ? { files: slowFiles } : {}),
  ...(ailment === 'jumping-clock' ? { clock: jumpingClock } : {}),
  ...(ailment === 'little-memory' ? { aroundEngine: hungry } : {}),
});
