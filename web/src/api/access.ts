/** Who may do what: tenants, keys and the audit log, as far as the key sees them. */
import { type Count, toCount } from '../model/count.ts';
import { readTime } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import type { Api } from './client.ts';

type Loose = Readonly<Record<string, unknown>>;

export interface TenantInfo {
  readonly name: string;
  /** `active`, `suspended` or `deleting`. */
  readonly state: string;
  readonly streams: Count;
  readonly rollups: Count;
  readonly storedBytes: number | null;
  readonly logBytes: number | null;
  /** By name; what is not limited is not in it. */
  readonly limits: Readonly<Record<string, Count>>;
}

export interface KeyInfo {
  readonly name: string;
  readonly version: string;
  readonly prefix: string;
  readonly scopes: readonly string[];
  /** Streams of which it sees only some rows. */
  readonly filtered: readonly string[];
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  /** Until when an earlier secret is accepted; null: there is none. */
  readonly alsoUntil: number | null;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: number | null;
  readonly tenant: string;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly outcome: string;
  readonly detail: unknown;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  readonly next: string | undefined;
}

/** Every tenant for the key of the installation; for an admin key its own. */
export async function listTenants(api: Api, signal: AbortSignal): Promise<readonly TenantInfo[]> {
  return rows(await api.get('v1/tenants', signal), 'tenants').map((row) => {
    const usage = (row.usage ?? {}) as Loose;
    const limits = Object.entries((row.limits ?? {}) as Loose);
    return {
      name: String(row.name),
      state: String(row.state),
      streams: toCount(usage.streams),
      rollups: toCount(usage.rollups),
      storedBytes: toDouble(usage.stored_bytes),
      logBytes: toDouble(usage.log_bytes),
      limits: Object.fromEntries(limits.map(([name, limit]) => [name, toCount(limit)])),
    };
  });
}

export async function listKeys(api: Api, signal: AbortSignal): Promise<readonly KeyInfo[]> {
  return rows(await api.get('v1/keys', signal), 'keys').map((row) => {
    const also = ((row.also_accepted ?? []) as Loose[]).map(({ until }) => readTime(until) ?? 0);
    const document = (row.document ?? {}) as Loose;
    return {
      name: String(row.name),
      version: String(row.version),
      prefix: String(row.prefix),
      scopes: ((row.scopes ?? []) as unknown[]).map(String),
      filtered: Object.keys((document.rowFilters ?? {}) as Loose),
      expiresAt: readTime(row.expires_at),
      lastUsedAt: readTime(row.last_used_at),
      alsoUntil: also.length > 0 ? Math.max(...also) : null,
    };
  });
}

export interface KeyWish {
  readonly name: string;
  readonly scopes: readonly string[];
  /** A duration from now: `90d`; null: it does not end. */
  readonly expires: string | null;
}

/** The secret, this once. Fails when there is such a key already. */
export async function makeKey(api: Api, { name, ...document }: KeyWish): Promise<string> {
  const headers = { 'If-None-Match': '*' };
  return secretOf(await api.change({ method: 'PUT', path: keyPath(name), body: document, headers }));
}

/** The new secret; the one before is accepted for `overlap` more. */
export async function rotateKey(api: Api, key: KeyInfo, overlap: string): Promise<string> {
  const path = `${keyPath(key.name)}/rotate`;
  return secretOf(await api.change({ method: 'POST', path, body: { overlap }, headers: asSeen(key) }));
}

/** Whatever was changed about the key meanwhile: who revokes one wants it to end. */
export async function revokeKey(api: Api, key: KeyInfo): Promise<void> {
  await api.change({ method: 'DELETE', path: keyPath(key.name) });
}

export async function listAudit(
  api: Api,
  limit: number,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<AuditPage> {
  const query = new URLSearchParams({ limit: String(limit), ...(cursor === undefined ? {} : { cursor }) });
  const answer = (await api.get(`v1/audit?${query}`, signal)) as Loose;
  return {
    entries: rows(answer, 'entries').map((row) => ({
      id: String(row.id),
      at: readTime(row.at),
      tenant: typeof row.tenant === 'string' ? row.tenant : '',
      ...{ actor: String(row.actor), action: String(row.action) },
      ...{ subject: String(row.subject), outcome: String(row.outcome), detail: row.detail },
    })),
    next: typeof answer.next_cursor === 'string' ? answer.next_cursor : undefined,
  };
}

const keyPath = (name: string): string => `v1/keys/${encodeURIComponent(name)}`;

/** A secret that somebody else gave the key meanwhile is not ended by chance. */
const asSeen = ({ version }: KeyInfo) => ({ 'If-Match': `"${version}"` });

const rows = (answer: unknown, name: string): readonly Loose[] =>
  ((answer as Loose)[name] ?? []) as readonly Loose[];

const secretOf = (answer: unknown): string => String((answer as Loose).secret);
