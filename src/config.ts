/**
 * Configuration: environment first, then flags of the same name, then `millrace.config.ts`. Parsed once into
 * a frozen object; no other file reads the environment.
 */
import { z } from 'zod';
import { parseBytes } from './base/bytes.ts';
import { parseDuration } from './base/duration.ts';
import { MillraceError } from './base/errors.ts';
import { cacheMistake } from './cache/index.ts';
import { catalogMistake } from './catalog/port.ts';
import { parseTenantLimits } from './tenants/index.ts';

const bytes = z.coerce.number().int().positive();

const MEMORY_LEAST = 2 ** 20;
/** `4GiB`, or bytes. */
const size = z.string().transform((text, context) => {
  const parsed = parseBytes(text);
  if (parsed !== undefined && parsed >= MEMORY_LEAST) return parsed;
  context.addIssue(`"${text}" is not a size of at least 1MiB; write a number and a unit: 4GiB`);
  return z.NEVER;
});

function refuseBadLimits(text: string, context: z.RefinementCtx): void {
  try {
    parseTenantLimits(text);
  } catch (error) {
    context.addIssue(error instanceof MillraceError ? error.message : String(error));
  }
}

function isMailServer(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && ['smtp:', 'smtps:'].includes(url.protocol) && url.hostname !== '';
}

const schema = z.object({
  MILLRACE_DATA: z.string().min(1).default('./.millrace'),
  MILLRACE_PORT: z.coerce.number().int().min(0).max(65_535).default(7_070),
  MILLRACE_HOST: z.string().min(1).default('127.0.0.1'),
  /** Where clients of ClickHouse that know no path are answered at `/`; absent: only at `/clickhouse/`. */
  MILLRACE_CLICKHOUSE_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  MILLRACE_LOG: z.string().default('file:'),
  MILLRACE_STORE: z.string().default('chdb:'),
  MILLRACE_LAKE: z.string().default('file:'),
  MILLRACE_CATALOG: z.string().default('sqlite:'),
  MILLRACE_CACHE: z.string().default('memory:'),
  /** Memory for answers that were given before, of all tenants together. */
  MILLRACE_CACHE_MEMORY: size.prefault('128MiB'),
  MILLRACE_ROLES: z.string().default('all'),
  MILLRACE_ADMIN_KEY: z.string().min(8, 'must have at least 8 characters').optional(),
  /** Paths of PEM files: the server's certificate with those behind it, and its key. Both, or none: then plain HTTP. */
  MILLRACE_TLS_CERT: z.string().min(1).optional(),
  MILLRACE_TLS_KEY: z.string().min(1).optional(),
  MILLRACE_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Milliseconds that the log waits for company before it writes a group of appends. */
  MILLRACE_LINGER_MS: z.coerce.number().min(0).max(1_000).default(2),
  MILLRACE_BODY_BYTES_MAX: bytes.default(64 * 2 ** 20),
  MILLRACE_EVENT_BYTES_MAX: bytes.default(2 ** 20),
  MILLRACE_BACKLOG_BYTES_MAX: bytes.default(2 ** 30),
  MILLRACE_IN_FLIGHT_BYTES_MAX: bytes.default(256 * 2 ** 20),
  /** Memory for the ids that all streams remember; what does not fit is looked up on disk. */
  MILLRACE_DEDUP_MEMORY: size.prefault('4GiB'),
  /** Memory for the recent buckets of rollups, of all tenants together; 0: none. */
  MILLRACE_HOT_MEMORY: z.union([z.literal('0').transform(() => 0), size]).prefault('512MiB'),
  /** Limits of tenants that have none of their own, as JSON: `{"eventsPerSecond": 10000, "streams": 50}`. */
  MILLRACE_TENANT_LIMITS: z.string().default('{}').superRefine(refuseBadLimits),
  MILLRACE_QUERY_SECONDS_MAX: z.coerce.number().positive().default(30),
  /** How often log, tables and rollups of each stream are held against each other; 0: never. */
  MILLRACE_RECONCILE_EVERY: z
    .string()
    .refine(
      (text) => text === '0' || (parseDuration(text) ?? 0) >= 60_000,
      'must be a duration of at least a minute, for example 24h, or 0 for never',
    )
    .default('24h'),
  /** `smtp://user:password@host:port`, or `smtps:`; absent: mails become dead letters. */
  MILLRACE_SMTP: z
    .string()
    .refine(isMailServer, 'must be smtp://user:password@host:port, or smtps:')
    .optional(),
  /** Who mails are from: `alerts@example.com`, or `Name <alerts@example.com>`. */
  MILLRACE_MAIL_FROM: z
    .string()
    .regex(/^[^\r\n]*[^\s<>]+@[^\s<>]+>?$/, 'must be a mail address, or Name <address>')
    .optional(),
  /** `allow`: webhooks may go to this machine and to private networks. */
  MILLRACE_WEBHOOK_PRIVATE: z.enum(['allow', 'refuse']).default('refuse'),
});

export type Settings = z.infer<typeof schema>;
export type SettingName = keyof Settings;

/** Every setting with its default, undefined where there is none. */
export const SETTING_DEFAULTS: Readonly<Record<SettingName, string | number | undefined>> =
  Object.fromEntries(
    Object.entries(schema.shape).map(([name, type]) => [name, type.safeParse(undefined).data]),
  ) as Record<SettingName, string | number | undefined>;

/** The environment as it stands; the command line is handed this and reads settings and addresses from it. */
export const readEnvironment = (): Readonly<Record<string, string | undefined>> => ({ ...process.env });

const PORTS: Record<'MILLRACE_LOG' | 'MILLRACE_STORE' | 'MILLRACE_LAKE', string> = {
  MILLRACE_LOG: 'file',
  MILLRACE_STORE: 'chdb',
  MILLRACE_LAKE: 'file',
};

/**
 * Every mistake is reported at once, each with the name of its setting.
 *
 * @example
 * readSettings({ MILLRACE_PORT: '7071' }).MILLRACE_PORT; // 7071
 */
export function readSettings(...sources: Readonly<Record<string, string | undefined>>[]): Settings {
  const merged: Record<string, string> = {};
  for (const source of sources.toReversed()) {
    for (const [name, value] of Object.entries(source)) {
      if (name.startsWith('MILLRACE_') && value !== undefined && value !== '') merged[name] = value;
    }
  }
  const parsed = schema.safeParse(merged);
  const issues = parsed.success
    ? []
    : parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  for (const [name, embedded] of Object.entries(PORTS)) {
    const url = merged[name];
    const scheme = url === undefined ? embedded : /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1];
    if (scheme !== embedded) {
      issues.push({
        path: name,
        message:
          scheme === undefined
            ? `is not a URL; use ${embedded}:`
            : `the scheme "${scheme}:" is not known here; this version has only ${embedded}:`,
      });
    }
  }
  const { MILLRACE_TLS_CERT: cert, MILLRACE_TLS_KEY: key } = merged;
  if ((cert === undefined) !== (key === undefined)) {
    const [path, other] =
      cert === undefined
        ? ['MILLRACE_TLS_CERT', 'MILLRACE_TLS_KEY']
        : ['MILLRACE_TLS_KEY', 'MILLRACE_TLS_CERT'];
    issues.push({ path, message: `must be set together with ${other}` });
  }
  if ((merged.MILLRACE_SMTP === undefined) !== (merged.MILLRACE_MAIL_FROM === undefined)) {
    issues.push({ path: 'MILLRACE_SMTP', message: 'must be set together with MILLRACE_MAIL_FROM' });
  }
  const catalog = catalogMistake(merged.MILLRACE_CATALOG ?? 'sqlite:');
  if (catalog !== undefined) issues.push({ path: 'MILLRACE_CATALOG', message: catalog });
  const cache = cacheMistake(merged.MILLRACE_CACHE ?? 'memory:');
  if (cache !== undefined) issues.push({ path: 'MILLRACE_CACHE', message: cache });
  if (parsed.success && parsed.data.MILLRACE_ROLES !== 'all') {
    issues.push({ path: 'MILLRACE_ROLES', message: 'this version runs every role in one process; use all' });
  }
  if (issues.length > 0 || !parsed.success) {
    throw new MillraceError(
      'bad-request',
      `the configuration has mistakes: ${issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ')}`,
      { issues },
    );
  }
  return Object.freeze(parsed.data);
}
