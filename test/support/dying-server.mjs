/**
 * The server, built as it is, over a file system and an engine that end the process with SIGKILL at one labelled step
 * of the write path: `DIE_AT=LABEL#N` at the Nth time that it is reached.
 */
import { built } from '../../bin/built.cjs';
import { executing, serve } from './serve-as-child.mjs';

const { nodeFiles, replaceFile } = await import(built('base/files'));

const [label, times] = (process.env.DIE_AT ?? '').split('#');
let left = Number(times ?? 0);

const die = () => process.kill(process.pid, 'SIGKILL');
const reached = (step) => {
  if (step !== label) return;
  left -= 1;
  if (left === 0) die();
};
/** Dies while the work is under way, a few milliseconds after it began. */
const during = (step) => {
  if (step !== label) return;
  left -= 1;
  if (left === 0) setTimeout(die, Math.floor(Number(process.env.DIE_AFTER_MS ?? 5)));
};

const isLog = (path) => path.includes('/log/') && path.endsWith('.log');

const files = {
  ...nodeFiles,
  open: async (path, mode) => {
    const file = await nodeFiles.open(path, mode);
    const scratch = path.includes('/scratch/');
    const small = /(manifest|position)(?:-\d+)?\.json\.new$/.exec(path)?.[1];
    if (!isLog(path) && !scratch && small === undefined) return file;
    const name = small ?? (scratch ? 'scratch' : 'log');
    return {
      writev: async (chunks, position) => {
        reached(`${name}: before write`);
        if (label === `${name}: torn write` && left === 1) {
          const bytes = Buffer.concat(chunks);
          await file.writev([bytes.subarray(0, Math.ceil(bytes.length / 2))], position);
        }
        reached(`${name}: torn write`);
        await file.writev(chunks, position);
        reached(`${name}: written`);
      },
      read: (into, position) => file.read(into, position),
      datasync: async () => {
        await file.datasync();
        reached(`${name}: synced`);
      },
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
    };
  },
  rename: async (from, to) => {
    const name = /(manifest|position)(?:-\d+)?\.json$/.exec(to)?.[1];
    if (name !== undefined) reached(`${name}: before rename`);
    await nodeFiles.rename(from, to);
    if (name !== undefined) reached(`${name}: renamed`);
  },
  writeFileAtomic: async (path, bytes) => {
    await replaceFile(files, path, bytes);
    const name = /(manifest|position)(?:-\d+)?\.json$/.exec(path)?.[1];
    if (name !== undefined) reached(`${name}: durable`);
  },
};

const tableOf = (text) => {
  const table = /^INSERT INTO [^.]+\.`?(stage|events|quarantine|discarded|rollup)_/.exec(text)?.[1];
  return table ?? (/^TRUNCATE/.test(text) ? 'clear' : undefined);
};

const aroundEngine = executing(async (engine, statement) => {
  const table = tableOf(statement.text);
  if (table === undefined) return engine.execute(statement);
  reached(`${table}: before`);
  during(`${table}: during`);
  await engine.execute(statement);
  reached(`${table}: after`);
});

await serve({ files, aroundEngine });
