/**
 * Why a change of a definition cannot be: something that stands on it would not fit any more, or counts on a field that goes.
 *
 * Rollups are no hindrance to a field of a stream that is retired: they keep what was, often longer than the events. Windows and
 * triggers look at what comes, and reports at the newest of it: without the field they would tell nothing, or zero, for ever.
 */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { type Known, parseMeasure, parseObject } from '../define/index.ts';
import {
  columnOfTable,
  fieldOf,
  type ObjectDefinition,
  relationsNamed,
  type StreamDefinition,
  type TableDefinition,
  wordsOf,
} from '../define/model.ts';
import { type CatalogOfObjects, dependentsOf, knownTo, nameOf } from './objects.ts';

/** Names that are there before a change and mean nothing behind it: in questions of numbers, and in SQL. */
interface Lost {
  readonly asked: ReadonlySet<string>;
  readonly inSql: ReadonlySet<string>;
}

type HasFields = StreamDefinition | TableDefinition;

const hasFields = (one: StreamDefinition | ObjectDefinition): one is HasFields =>
  one.kind === 'stream' || one.kind === 'table';

/** An earlier name of a field that was renamed still means it, but not in SQL. */
function lostBetween(previous: HasFields, next: HasFields): Lost {
  const [asked, inSql] = [new Set<string>(), new Set<string>()];
  for (const { name, retired } of previous.fields) {
    if (retired) continue;
    const after = fieldOf(next, name);
    if (after === undefined || after.retired) asked.add(name);
    if (after === undefined || after.retired || after.name !== name) inSql.add(name);
  }
  return { asked, inSql };
}

/** Of a name as questions have it: the field that it means of this stream or table. A column is reached by a field. */
function fieldMeant(written: string, of: HasFields, known: Known): string | undefined {
  const read = columnOfTable(written);
  if (of.kind === 'table') return read?.table === of.name ? read.column : undefined;
  return read ? (read.via ?? known.object('table', read.table)?.key) : written.replaceAll(/\s+/g, '');
}

const fieldOfMeasure = (text: string): string | undefined => {
  const measure = parseMeasure(text);
  return 'field' in measure ? measure.field : undefined;
};

interface Named {
  /** As questions of numbers have them. */
  readonly asked: readonly (string | undefined)[];
  /** Texts in SQL that read it. */
  readonly sql: readonly string[];
}

const questionNames = (
  { fn = [], by = [], where = [] }: Readonly<Record<string, string | readonly string[]>>,
  of: HasFields,
  known: Known,
): Named['asked'] => [
  ...(of.kind === 'stream' ? [fn].flat().map(fieldOfMeasure) : []),
  ...[by].flat().flatMap((one) => one.split(',').map((name) => fieldMeant(name, of, known))),
  ...[where].flat().map((one) => fieldMeant(one.split(':', 1)[0]!, of, known)),
];

/** What a definition names of a stream or table that it stands on. */
function namedBy(user: ObjectDefinition, of: HasFields, known: Known): Named {
  switch (user.kind) {
    case 'window': {
      const columns = Object.values(user.joined).map((written) => fieldMeant(written, of, known));
      if (of.kind === 'table') return { asked: columns, sql: [] };
      const own = user.by.filter((name) => user.joined[name] === undefined);
      const measured = user.measures.map(({ measure }) => ('field' in measure ? measure.field : undefined));
      return {
        asked: [...own, ...measured, ...columns],
        sql: user.where === undefined ? [] : [user.where],
      };
    }
    case 'trigger': {
      const { on, measure, by } = user;
      if (on.kind !== 'stats' || (of.kind === 'stream' && on.stream !== of.name))
        return { asked: [], sql: [] };
      return { asked: questionNames({ fn: measure, by, where: on.where }, of, known), sql: [] };
    }
    case 'report': {
      const asked = user.questions.flatMap((one) =>
        'stats' in one && (of.kind === 'table' || one.stream === of.name)
          ? questionNames(one.stats, of, known)
          : [],
      );
      const sql = user.questions.flatMap((one) => ('sql' in one && reads(one.sql, of) ? [one.sql] : []));
      return { asked, sql };
    }
    case 'table':
      return { asked: [], sql: [] };
  }
}

const reads = (sql: string, { kind, name }: HasFields): boolean => {
  const named = relationsNamed(sql);
  return named.includes(name) || (kind === 'table' && named.includes(`${name}_history`));
};

function lostTo(
  user: ObjectDefinition,
  of: HasFields,
  { asked, inSql }: Lost,
  known: Known,
): readonly string[] {
  const named = namedBy(user, of, known);
  const words = named.sql.map(wordsOf);
  return [...new Set([...asked, ...inSql])].filter(
    (name) =>
      (asked.has(name) && named.asked.includes(name)) ||
      (inSql.has(name) && words.some((some) => some.has(name))),
  );
}

export interface Standing {
  readonly definition: ObjectDefinition;
  readonly document: unknown;
}

/** Why `user` does not go along with the change; undefined when it does. `known` has `next` already. */
export function hindranceOf(
  { definition: user, document }: Standing,
  previous: StreamDefinition | ObjectDefinition,
  next: StreamDefinition | ObjectDefinition,
  known: Known,
): string | undefined {
  if (hasFields(previous) && hasFields(next)) {
    const lost = lostTo(user, previous, lostBetween(previous, next), known);
    if (lost.length > 0)
      return `${nameOf(user)} names its field${lost.length === 1 ? '' : 's'} ${lost.map((name) => JSON.stringify(name)).join(', ')}`;
  }
  try {
    parseObject(user.kind, user.name, document, known);
    return undefined;
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return `${nameOf(user)} stands on it, and would not fit (${error.message})`;
  }
}

export const refusalOf = (hindrances: readonly string[]): string =>
  `${hindrances.join('; ')}; change or remove ${hindrances.length === 1 ? 'that' : 'those'} first`;

/** Fails with `conflict`, which tells everything that stands on it and does not go along. */
export function refuseWhileHindered(
  catalog: CatalogOfObjects,
  tenant: TenantId,
  previous: StreamDefinition | ObjectDefinition,
  next: StreamDefinition | ObjectDefinition,
): void {
  const known = knownTo(catalog, tenant, next);
  const hindrances = dependentsOf(catalog, tenant, next).flatMap(
    (user) => hindranceOf(user, previous, next, known) ?? [],
  );
  if (hindrances.length === 0) return;
  throw new MillraceError('conflict', `${nameOf(next)} cannot change like this: ${refusalOf(hindrances)}`);
}
