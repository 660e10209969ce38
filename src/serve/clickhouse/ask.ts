/**
 * A question of ClickHouse's interface, from its text to the pieces of its answer. It passes the same doors as every
 * question in SQL; before them its names are put in the words of the guard, behind them its answer is written in the
 * format that was asked for.
 *
 *     text ─format─▶ words ─FORMAT, SETTINGS taken off─▶ SHOW, DESCRIBE … become SELECTs ─names─▶ guard ─▶ pieces
 */

import type { Clock } from '../../base/clock.ts';
import { MillraceError } from '../../base/errors.ts';
import type { SqlLimits, Visit } from '../../questions/index.ts';
import { checkText, explainToAsker, guardQuestion } from '../../sql/index.ts';
import { type Guest, type GuestLimits, quoteIdentifier, quoteText } from '../../store/index.ts';
import type { Principal } from '../../tenants/index.ts';
import { Catalogue, type CatalogueParts } from './catalogue.ts';
import { type Answered, type Format, formatNamed, writeFormat } from './formats.ts';
import { type Bound, rename, valuesToSubquery } from './names.ts';
import { nativeBlocksFor } from './native.ts';
import { Refusal, unknownDatabase, unknownTable } from './refusal.ts';
import type { ClickhouseRequest } from './request.ts';
import { type ChosenSettings, chooseSettings } from './settings.ts';
import {
  checkUse,
  describedSubquery,
  describeToSelect,
  existsToSelect,
  type Known,
  showToSelect,
} from './show.ts';
import { kindOf, takeTail } from './statement.ts';
import { type Token, tokensOf } from './tokens.ts';

/** What is known of an answer while it is made. */
export interface Outcome extends Answered {
  /** From before the first piece. */
  format: Format | undefined;
  /** Puts the names that were asked for in place of those that the guard was given. */
  rename: (text: string) => string;
}

export interface AskParts extends CatalogueParts {
  readonly visit: Visit;
  readonly limits: SqlLimits;
  readonly clock: Clock;
}

/** What is written in place of `revision()`: the version of the protocol that our blocks of Native are those of. */
export const REVISION = 54_460;
export const DISPLAY_NAME = 'millrace';
const DEFAULT_FORMAT = 'TabSeparated';
/** A format that cannot be joined from chunks is made at once. */
const WHOLE_BYTES_MAX = 2 ** 26;
/** The tables of a server are statements that hold their rows. */
const STATEMENT_BYTES_MAX = 2 ** 26;

/** How a server of ClickHouse writes when it is told nothing else. */
const USUAL = { date_time_output_format: 'simple', join_use_nulls: 0 } as const;

export async function* askClickhouse(
  parts: AskParts,
  principal: Principal,
  request: ClickhouseRequest,
  outcome: Outcome,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const settings = chooseSettings(request.settings);
  const limits = limitsOf(parts.limits, settings);
  try {
    yield* parts.visit(
      principal,
      limits,
      (guest, another) => answer({ parts, principal, request, outcome, limits, guest, another }),
      signal,
    );
  } catch (error) {
    throw explainToAsker(error);
  }
}

const limitsOf = (limits: SqlLimits, settings: ChosenSettings): GuestLimits => ({
  timeoutSeconds: Math.min(limits.timeoutSeconds, settings.seconds ?? Number.POSITIVE_INFINITY),
  memoryBytesMax: limits.memoryBytesMax,
  resultBytesMax: limits.bytesMax,
  statementBytesMax: STATEMENT_BYTES_MAX,
  settings: USUAL,
});

interface Asking {
  readonly parts: AskParts;
  readonly principal: Principal;
  readonly request: ClickhouseRequest;
  readonly outcome: Outcome;
  readonly limits: GuestLimits;
  readonly guest: Guest;
  readonly another: (limits: GuestLimits) => Guest;
}

async function* answer(asking: Asking): AsyncGenerator<Uint8Array, void, void> {
  const { parts, principal, request, outcome, guest } = asking;
  const startedMs = parts.clock.monotonicMs();
  const canonical = await canonicalOf(guest, request.query);
  const { tokens, format, settings: inQuestion } = takeTail(tokensOf(canonical));
  const settings = chooseSettings(new Map([...request.settings, ...Object.entries(inQuestion)]));
  outcome.format = formatNamed(format ?? request.format ?? DEFAULT_FORMAT);

  const catalogue = new Catalogue(parts, principal);
  const current = catalogue.database(request.database ?? principal.tenant);
  if (current === undefined) throw unknownDatabase(request.database ?? '');
  const known: Known = { current, database: catalogue.database, isRelation: catalogue.isRelation };
  const kind = kindOf(tokens);
  if (kind === 'use') {
    checkUse(tokens, known);
    return;
  }
  const described = kind === 'describe' ? describedSubquery(tokens) : undefined;
  const question = described ?? questionOf(kind, tokens, known);
  // A statement that binds values of its own makes a session forget those that were set on it.
  const hasParams = Object.keys(request.params).length > 0;
  const limits = hasParams ? { ...asking.limits, params: request.params } : asking.limits;
  const reader = hasParams ? asking.another(limits) : guest;
  const guarded = await guard(asking, reader, catalogue, current, question);
  const text = described === undefined ? limited(guarded, settings) : `DESCRIBE TABLE (${guarded})`;

  const bounds = boundsOf(limits, settings, outcome.format, parts.limits);
  yield* writeFormat({
    guest: bounds === limits ? reader : asking.another(bounds),
    text,
    format: outcome.format,
    isSelect: described === undefined,
    nativeBlocks: nativeBlocksFor(Math.min(request.protocolVersion, REVISION)),
    elapsedSeconds: () => (parts.clock.monotonicMs() - startedMs) / 1_000,
    answered: outcome,
  });
}

async function canonicalOf(guest: Guest, query: string): Promise<string> {
  const bytes = await guest.query(
    {
      text: 'SELECT formatQuerySingleLine({millrace_question:String})',
      params: { millrace_question: query },
    },
    'TSVRaw',
  );
  const canonical = Buffer.from(bytes).toString('utf8').replace(/\n$/, '');
  if (canonical.trim() === '') throw new Refusal('SYNTAX_ERROR', 'Syntax error: the query is empty');
  const mistake = checkText(canonical);
  if (mistake !== undefined) throw new Refusal('ACCESS_DENIED', `Not enough privileges: ${mistake}`);
  return canonical;
}

function questionOf(
  kind: 'select' | 'show' | 'describe' | 'exists',
  tokens: readonly Token[],
  known: Known,
): readonly Token[] {
  switch (kind) {
    case 'select':
      return tokens;
    case 'show':
      return tokensOf(showToSelect(tokens, known));
    case 'describe':
      return tokensOf(describeToSelect(tokens, known));
    case 'exists':
      return tokensOf(existsToSelect(tokens, known));
  }
}

async function guard(
  { parts, principal, outcome, guest }: Asking,
  reader: Guest,
  catalogue: Catalogue,
  current: string,
  question: readonly Token[],
): Promise<string> {
  const { text, bound } = rename(valuesToSubquery(question), {
    isRelation: catalogue.isRelation,
    constants: constantsFor(parts, principal, current),
  });
  outcome.rename = (words) => namesAsAsked(words, bound);
  const needsListing =
    catalogue.isVirtual(current) || [...bound.values()].some(({ database }) => catalogue.isVirtual(database));
  const listing = needsListing ? await catalogue.listing() : undefined;
  let missing: Refusal | undefined;
  const statement = guardQuestion(
    {
      ask: async (asked, params) => {
        const isPlain = Object.keys(params).length === 0;
        const bytes = isPlain
          ? await reader.query({ text: asked }, 'TSVRaw')
          : await guest.query({ text: asked, params: { ...params } }, 'TSVRaw');
        return Buffer.from(bytes).toString('utf8');
      },
      relation: (name) => {
        const { database, table } = bound.get(name) ?? { database: current, table: name };
        const relation = catalogue.relation(database, table, listing);
        if (relation === undefined) missing ??= missingOf(catalogue, name);
        return relation;
      },
      quoteName: quoteIdentifier,
    },
    text,
    {},
  );
  return statement.catch((error: unknown) => {
    throw missing !== undefined && isRefusalOfGuard(error) ? missing : error;
  });
}

const isRefusalOfGuard = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === 'bad-question' && error.cause === undefined;

/** `name` as the engine lists it: with its database, or without. */
function missingOf(catalogue: Catalogue, name: string): Refusal {
  const dot = name.indexOf('.');
  if (dot === -1) return unknownTable(undefined, name);
  const database = name.slice(0, dot);
  return catalogue.database(database) === undefined
    ? unknownDatabase(database)
    : unknownTable(database, name.slice(dot + 1));
}

const namesAsAsked = (text: string, bound: ReadonlyMap<string, Bound>): string =>
  text.replaceAll(/`?(_relation_\d+)`?/g, (all, name: string) => {
    const asked = bound.get(name);
    return asked === undefined ? all : `${asked.database}.${asked.table}`;
  });

function constantsFor(
  { facts }: AskParts,
  { tenant }: Principal,
  current: string,
): Readonly<Record<string, string>> {
  const texts = {
    ...{ version: facts.version, timezone: facts.timezone, servertimezone: facts.timezone },
    ...{ currentuser: tenant, user: tenant, current_user: tenant },
    ...{ currentdatabase: current, database: current, current_database: current, schema: current },
    ...{ hostname: DISPLAY_NAME, fqdn: DISPLAY_NAME, fullhostname: DISPLAY_NAME, displayname: DISPLAY_NAME },
  };
  return {
    ...Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, quoteText(value)])),
    revision: `CAST(${REVISION}, 'UInt32')`,
    uptime: "CAST(0, 'UInt32')",
    serveruuid: "CAST('00000000-0000-0000-0000-000000000000', 'UUID')",
    connectionid: "CAST(0, 'UInt64')",
  };
}

/** The guarded statement ends in `SELECT * FROM (…)`, so this holds for all of its answer. */
const limited = (text: string, { limit, offset }: ChosenSettings): string =>
  `${limit === undefined ? (offset === undefined ? text : `SELECT * FROM (${text})`) : `SELECT * FROM (${text}) LIMIT ${limit}`}${offset === undefined ? '' : ` OFFSET ${offset}`}`;

/** Those of the first session, unless the answer has its own: nothing that a request names may change what the guard reads. */
function boundsOf(
  limits: GuestLimits,
  { engine, rowsMax, bytesMax }: ChosenSettings,
  { kind }: Format,
  installation: SqlLimits,
): GuestLimits {
  const wholeMax = kind === 'whole' ? WHOLE_BYTES_MAX : installation.bytesMax;
  const resultBytesMax = Math.min(wholeMax, bytesMax ?? wholeMax);
  if (Object.keys(engine).length === 0 && rowsMax === undefined && resultBytesMax === limits.resultBytesMax) {
    return limits;
  }
  return { ...limits, resultBytesMax, resultRowsMax: rowsMax, settings: { ...limits.settings, ...engine } };
}
