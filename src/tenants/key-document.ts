/** The JSON document of a key, as it goes over HTTP (`PUT /v1/keys/NAME`) and is stored. */
import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import { badDefinition } from '../define/index.ts';
import { hint, NAME, NAME_RULE } from '../define/model.ts';
import type { KeyLimits, RowFilters, Scope } from './port.ts';
import { isScope, OF_STREAM, WHOLE_SCOPES } from './scopes.ts';

/** Conditions of one stream; a question may have as many again of its own. */
export const ROW_CONDITIONS_MAX = 16;
const SCOPES_MAX = 200;
const FILTERED_STREAMS_MAX = 200;
const ORIGINS_MAX = 50;

/** An object without unknown keys; its message holds one line for each unknown key. */
export const strict = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `is not known here${hint(key, Object.keys(shape))}`).join('\n')
        : undefined,
  });

const rate = z.number().positive().max(1e12);
const scope = z.string().refine(isScope, {
  error: ({ input }) => `"${String(input)}" is not a scope${scopeHint(String(input))}`,
});
const origin = z.string().refine(isOrigin, {
  error: ({ input }) =>
    `"${String(input)}" is not an origin; write scheme, host and port as a browser does: https://shop.example`,
});

/** What is written: `expires` may be a duration from now. */
export const keyDocument = strict({
  scopes: z
    .array(scope)
    .min(1, 'at least one scope is needed')
    .max(SCOPES_MAX)
    .describe(
      'What the key may do: events:write, events:write:STREAM, stats:read, stats:read:STREAM, sql:read, definitions:write, admin.',
    ),
  rowFilters: z
    .record(
      z.string().regex(NAME, NAME_RULE),
      z
        .array(z.string().min(1).max(4_000))
        .min(1, 'at least one condition is needed')
        .max(ROW_CONDITIONS_MAX),
    )
    .optional()
    .describe(
      'By stream: conditions `field:op:value` that hold for every row that the key reads. A key with filters reads only the streams that are named here.',
    ),
  limits: strict({
    eventsPerSecond: rate.optional(),
    bytesPerSecond: rate.optional(),
    concurrentQueries: z.int().positive().max(10_000).optional(),
  })
    .optional()
    .describe('Of this key alone; the tenant’s own hold beside them.'),
  origins: z
    .array(origin)
    .max(ORIGINS_MAX)
    .optional()
    .describe('Pages that may use the key from a browser: https://shop.example.'),
  expires: z
    .string()
    .nullable()
    .optional()
    .describe('RFC 3339, or a duration from now (90d); null or absent: never.'),
  description: z.string().max(500).optional(),
}).meta({
  id: 'KeyDocument',
  examples: [
    {
      scopes: ['stats:read:orders'],
      rowFilters: { orders: ['merchant:eq:42'] },
      origins: ['https://shop.example'],
      expires: '90d',
      description: 'the dashboard of merchant 42',
    },
    { scopes: ['events:write'], limits: { eventsPerSecond: 1_000 } },
  ],
});

/** A key's document when it has been read: nothing is left to be said. */
export interface KeyDocument {
  readonly scopes: readonly Scope[];
  readonly rowFilters: RowFilters;
  readonly limits: KeyLimits;
  readonly origins: readonly string[];
  readonly expiresAtMs: number | null;
  readonly description: string | undefined;
}

/** @throws MillraceError `bad-definition` with every mistake and its path. */
export function parseKeyDocument(value: unknown, nowMs: number): KeyDocument {
  const parsed = keyDocument.safeParse(value);
  const issues: Issue[] = parsed.success ? [] : issuesOf(parsed.error);
  const written = parsed.success ? parsed.data : undefined;
  const expiresAtMs = written?.expires == null ? null : momentOf(written.expires, nowMs);
  if (expiresAtMs === undefined) {
    issues.push({
      path: 'expires',
      message: `"${written?.expires}" is neither a time (2027-01-01T00:00:00Z) nor a duration (90d)`,
    });
  } else if (expiresAtMs !== null && expiresAtMs <= nowMs) {
    issues.push({ path: 'expires', message: 'lies in the past' });
  }
  const { scopes = [], rowFilters = {} } = written ?? {};
  if (Object.keys(rowFilters).length > FILTERED_STREAMS_MAX) {
    issues.push({ path: 'rowFilters', message: `at most ${FILTERED_STREAMS_MAX} streams can be named` });
  }
  if (Object.keys(rowFilters).length > 0) {
    scopes.forEach((one, index) => {
      if (one !== 'admin' && one !== 'definitions:write') return;
      const message = `${one} cannot be cut to some rows; give it to a key without rowFilters`;
      issues.push({ path: `scopes.${index}`, message });
    });
  }
  if (written === undefined || issues.length > 0 || expiresAtMs === undefined)
    throw badDefinition('the key', issues);
  return freeze({
    scopes: [...new Set(scopes)] as Scope[],
    rowFilters,
    limits: (written.limits ?? {}) as KeyLimits,
    origins: [...new Set(written.origins ?? [])],
    expiresAtMs,
    description: written.description,
  });
}

/** The document as it is stored and shown; read again it says the same, whenever that is. */
export function keyDocumentToJson(document: KeyDocument): Readonly<Record<string, unknown>> {
  const { scopes, rowFilters, limits, origins, expiresAtMs, description } = document;
  return {
    scopes,
    ...(Object.keys(rowFilters).length === 0 ? {} : { rowFilters }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(origins.length === 0 ? {} : { origins }),
    expires: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString(),
    ...(description === undefined ? {} : { description }),
  };
}

/** What was stored: it was checked then, and may have expired since. */
export function storedKeyDocument(stored: Readonly<Record<string, unknown>>): KeyDocument {
  const { expires } = stored as { readonly expires?: string | null };
  const document = parseKeyDocument({ ...stored, expires: null }, 0);
  return freeze({ ...document, expiresAtMs: expires == null ? null : Date.parse(expires) });
}

/** `24h`, `0s`: how long the old secret is accepted beside the new one. */
export const OVERLAP_MS_MAX = 90 * 86_400_000;
export const OVERLAP_DEFAULT = '24h';
export function parseOverlap(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= OVERLAP_MS_MAX) return ms;
  const message = `"${text}" is not a duration of at most 90d; write for example 24h, or 0s for at once`;
  throw new MillraceError('bad-request', `overlap: ${message}`, { issues: [{ path: 'overlap', message }] });
}

const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

function momentOf(text: string, nowMs: number): number | undefined {
  const duration = parseDuration(text);
  if (duration !== undefined) return nowMs + duration <= 8.64e15 ? nowMs + duration : undefined;
  const ms = MOMENT.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function isOrigin(text: string): boolean {
  if (!/^https?:\/\/[^/]+$/.test(text) || !URL.canParse(text)) return false;
  return new URL(text).origin === text;
}

function scopeHint(written: string): string {
  const [first = '', second = '', ...stream] = written.split(':');
  const need = `${first}:${second}`;
  if (stream.length > 0 && (OF_STREAM as readonly string[]).includes(need))
    return `: the name of a stream ${NAME_RULE}`;
  return hint(written, WHOLE_SCOPES);
}

/** Every mistake with its path, in plain words. */
export function issuesOf(error: z.ZodError): Issue[] {
  return error.issues.flatMap((issue): Issue[] => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      const messages = issue.message.split('\n');
      return issue.keys.map((key, index) => ({
        path: [...path, key].join('.'),
        message: messages[index] ?? 'is not known here',
      }));
    }
    if (issue.code === 'invalid_key') return [{ path: path.join('.'), message: NAME_RULE }];
    const message = issue.message
      .replace(/^Invalid input: expected (.+), received undefined$/, 'is missing; $1 expected')
      .replace(/^Invalid (input|option): /, '');
    return [{ path: path.join('.'), message }];
  });
}

function freeze(document: KeyDocument): KeyDocument {
  for (const part of [document, document.scopes, document.rowFilters, document.limits, document.origins])
    Object.freeze(part);
  for (const conditions of Object.values(document.rowFilters)) Object.freeze(conditions);
  return document;
}
