/**
 * The server, built as it is, that ends itself with SIGKILL while it erases the tenant VICTIM: at the call number DIE_AT
 * among those to the file system and the engine that change something of it, before that call or (`DIE_AT=4+`) behind
 * it; `DIE_AT=purge+7`: 7 ms behind the last of them, when the catalog is being purged.
 */
import { built } from '../../bin/built.cjs';
import { executing, serve } from './serve-as-child.mjs';

const { nodeFiles } = await import(built('base/files'));

const { VICTIM = '-', DIE_AT = '' } = process.env;
const [, purge, call, behind] = /^(?:purge\+(\d+)|(\d+)(\+?))$/.exec(DIE_AT) ?? [];
let calls = 0;
let begun = false;
const die = () => process.kill(process.pid, 'SIGKILL');

const around = async (subject, work) => {
  // Some of these calls are made while the tenant lives, too; its positions go only when it goes.
  begun ||= subject.includes(`/ingest/${VICTIM}`);
  if (!begun || !subject.includes(VICTIM)) return work();
  calls += 1;
  const isIt = calls === Number(call);
  if (isIt && !behind) die();
  const result = await work();
  if (isIt) die();
  if (purge !== undefined && subject.startsWith('DROP DATABASE')) setTimeout(die, Number(purge));
  return result;
};

const files = {
  ...nodeFiles,
  rmdir: (path) => around(path, () => nodeFiles.rmdir(path)),
  unlink: (path) => around(path, () => nodeFiles.unlink(path)),
  rename: (from, to) =>
    to.endsWith('.removed') ? around(to, () => nodeFiles.rename(from, to)) : nodeFiles.rename(from, to),
};

const aroundEngine = executing((engine, statement) =>
  /^DROP (DATABASE|TABLE)/.test(statement.text)
    ? around(statement.text, () => engine.execute(statement))
    : engine.execute(statement),
);

await serve({ files, aroundEngine });
