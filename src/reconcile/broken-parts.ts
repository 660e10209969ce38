/** Parts of tables whose files are damaged, and parts that the engine has set aside. */
import { MillraceError } from '../base/errors.ts';
import type { Engine } from '../store/index.ts';
import { BOUNDED, type Pulse } from './parts.ts';

export interface BrokenPart {
  readonly table: string;
  readonly part: string;
  /** The engine's words. */
  readonly words: string;
}

type Hands = Pick<Engine, 'rows' | 'query'>;

/** The unquoted names of a quoted one; our own names hold nothing that needs escaping. */
export function plainNames(table: string): { readonly database: string; readonly name: string } {
  const [database = '', name = ''] = table.split('.').map((one) => one.replaceAll('`', ''));
  return { database, name };
}

/** Reads every part of the table once. A part that is merged away meanwhile was read by that. */
export async function findBrokenParts(engine: Hands, table: string, pulse: Pulse): Promise<BrokenPart[]> {
  const found: BrokenPart[] = [];
  for (const part of await activeParts(engine, table)) {
    pulse.throwIfEnding();
    const words = await damageOf(engine, table, part);
    if (words !== undefined && (await activeParts(engine, table)).includes(part))
      found.push({ table, part, words });
  }
  return found;
}

/** Asked again right before something is done about it: what failed once may have been the moment's fault. */
export async function isStillBroken(engine: Hands, table: string, part: string): Promise<boolean> {
  if (!(await activeParts(engine, table)).includes(part)) return false;
  return (await damageOf(engine, table, part)) !== undefined;
}

export async function activeParts(engine: Pick<Engine, 'rows'>, table: string): Promise<readonly string[]> {
  const rows = await engine.rows<{ name: string }>({
    text: 'SELECT name FROM system.parts WHERE active AND database = {database:String} AND table = {name:String} ORDER BY name',
    params: { ...plainNames(table) },
  });
  return rows.map(({ name }) => name);
}

/** The name of a part comes from the engine: letters, digits and underscores. */
export const isPartName = (part: string): boolean => /^[\w-]+$/.test(part);

async function damageOf(engine: Hands, table: string, part: string): Promise<string | undefined> {
  if (!isPartName(part)) return undefined;
  try {
    const bytes = await engine.query({ text: `CHECK TABLE ${table} PART '${part}'` }, 'JSONEachRow', BOUNDED);
    const line = Buffer.from(bytes).toString('utf8').trim().split('\n')[0];
    if (line) {
      const { is_passed, message } = JSON.parse(line) as { is_passed: number | boolean; message: string };
      return is_passed ? undefined : message;
    }
  } catch (error) {
    if (mayPass(error)) throw error;
  }
  // It could not be checked: it is sound if all of it can be read.
  try {
    await engine.query({ text: `SELECT * FROM ${table} WHERE _part = '${part}'` }, 'Null', BOUNDED);
    return undefined;
  } catch (error) {
    if (mayPass(error)) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Not the part's fault. */
const mayPass = (error: unknown): boolean =>
  error instanceof MillraceError && error.code !== 'store-unavailable';

export interface DetachedPart {
  readonly table: string;
  readonly name: string;
  readonly reason: string;
}

/** Parts that were set aside for being damaged, by the engine at a start or by a repair. */
export async function detachedParts(
  engine: Pick<Engine, 'rows'>,
  tables: readonly string[],
): Promise<DetachedPart[]> {
  const found: DetachedPart[] = [];
  for (const table of tables) {
    const rows = await engine.rows<{ name: string; reason: string }>({
      text: "SELECT name, ifNull(reason, '') AS reason FROM system.detached_parts WHERE database = {database:String} AND table = {name:String} ORDER BY name LIMIT 100",
      params: { ...plainNames(table) },
    });
    for (const row of rows) found.push({ table, ...row });
  }
  return found;
}
