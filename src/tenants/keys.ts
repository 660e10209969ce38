/**
 * Keys: made, changed, rotated, removed, and known again when somebody comes with one. What is accepted stands in memory;
 * a change is durable, and holds from then on, when its promise resolves.
 */
import { randomBytes } from 'node:crypto';
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Holding, TenantPart } from '../base/tenant-part.ts';
import type { KeyRecord, KeyRecords, KeySecret } from '../catalog/index.ts';
import { NAME, NAME_RULE } from '../define/model.ts';
import { Authenticator, type AuthenticatorOptions, type Remote } from './authenticator.ts';
import { beyond } from './grants.ts';
import { type KeyDocument, keyDocumentToJson, parseKeyDocument } from './key-document.ts';
import { hashOfKey, KEY_RANDOM_BYTES, makeKeyText, prefixOf } from './key-text.ts';
import type { Principal } from './port.ts';
import { type StandingKey, standingKey } from './standing-key.ts';
import { startWritingUses, type UseWriter } from './uses.ts';

/** Of one tenant. */
export const KEYS_MAX = 10_000;

/** A key as it may be shown: neither its secret nor the hash of it. */
export interface KeyView {
  readonly name: string;
  /** Counts from 1; every change is a new version. */
  readonly version: number;
  readonly document: Readonly<Record<string, unknown>>;
  /** Newest first; a key that is being rotated has two. */
  readonly secrets: readonly Pick<KeySecret, 'prefix' | 'createdAtMs' | 'untilMs'>[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly lastUsedAtMs: number | null;
}

export interface KeyWithSecret {
  readonly key: KeyView;
  /** The whole key. It is nowhere kept: this is the only time that it is seen. */
  readonly secret: string;
}

export interface Keys extends TenantPart {
  /** By name. */
  list(tenant: TenantId): readonly KeyView[];
  get(tenant: TenantId, name: string): KeyView | undefined;
  /**
   * Makes a key, and tells its secret; or changes what one may do, and keeps its secret. Fails with `bad-definition`
   * (every mistake at once), `forbidden` when it would allow more than `by` may do, `precondition-failed` when
   * `ifVersion` is given and another stands (0: none may), `conflict` when there are too many.
   */
  put(
    tenant: TenantId,
    name: string,
    document: unknown,
    by: Principal,
    ifVersion?: number,
  ): Promise<{ readonly key: KeyView; readonly secret: string | undefined }>;
  /**
   * A new secret; the one before it is accepted for `overlapMs` more (0: no longer), older ones at once no more. Fails
   * as `put`, and with `unknown-key`.
   */
  rotate(
    tenant: TenantId,
    name: string,
    overlapMs: number,
    by: Principal,
    ifVersion?: number,
  ): Promise<KeyWithSecret>;
  /** Nobody gets in with it any more. Fails with `unknown-key` or `precondition-failed`. */
  remove(tenant: TenantId, name: string, ifVersion?: number): Promise<void>;

  /**
   * Who holds the key; under a microsecond for one that was seen before. `tenant`: for whom the operator acts; others may
   * name only their own. Fails with `unauthorized`, `too-busy` (wrong too often), `tenant-suspended`, `unknown-tenant`.
   */
  authenticate(tenant: string | undefined, text: string, remote: Remote): Principal;
  /** As `authenticate`, for a name and password (`tenant:key`): a right key with a wrong name is a wrong key. */
  authenticateKey(tenant: string | undefined, text: string, remote: Remote): Principal;
  /** Whether a page of this origin may use the principal's key from a browser. */
  namesOrigin(principal: Principal, origin: string): boolean;
  /** Whether any key names the origin: what may be told before a key was shown. */
  isKnownOrigin(origin: string): boolean;
  /** Writes what is not written of times of use. */
  close(): Promise<void>;
}

export interface KeysOptions extends AuthenticatorOptions {
  readonly records: KeyRecords;
  /** Random bytes; the system's own unless a test owns them. */
  readonly random?: (length: number) => Uint8Array;
  readonly onFailure?: (error: unknown) => void;
}

/**
 * @example
 * const keys = await openKeys({ records: catalog.keys, tenants, operator, clock });
 * const { secret } = await keys.put(tenant, 'shop', { scopes: ['events:write'] }, operatorOf(tenant));
 * keys.authenticate(undefined, secret!, socket).key; // 'shop'
 */
export async function openKeys(options: KeysOptions): Promise<Keys> {
  const { records, clock, random = randomBytes } = options;
  const byTenant = new Map<TenantId, Map<string, StandingKey>>();
  const origins = new Set<string>();
  const originsOf = new WeakMap<Principal, ReadonlySet<string>>();
  const writer: UseWriter = startWritingUses({ records, clock, onFailure: options.onFailure ?? (() => {}) });
  const authenticator = new Authenticator(options, (standing) => writer.note(standing));

  const find = (tenant: TenantId, name: string): StandingKey | undefined => byTenant.get(tenant)?.get(name);
  const set = (tenant: TenantId, name: string, standing: StandingKey | undefined): void => {
    const keys = byTenant.get(tenant) ?? new Map<string, StandingKey>();
    if (standing === undefined) keys.delete(name);
    else {
      keys.set(name, standing);
      originsOf.set(standing.principal, new Set(standing.document.origins));
    }
    if (keys.size === 0) byTenant.delete(tenant);
    else byTenant.set(tenant, keys);
  };
  const everyKey = (): StandingKey[] => [...byTenant.values()].flatMap((keys) => [...keys.values()]);
  const accept = (): void => {
    const keys = everyKey();
    origins.clear();
    for (const { document } of keys) for (const origin of document.origins) origins.add(origin);
    authenticator.accept(keys);
  };
  const stand = (record: KeyRecord): StandingKey => {
    const standing = standingKey(record, find(record.tenant, record.name)?.uses);
    set(record.tenant, record.name, standing);
    accept();
    return standing;
  };

  for (const record of await records.all()) set(record.tenant, record.name, standingKey(record));
  accept();

  // One after the other: memory then changes in the order of the records.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const next = last.then(change, change);
    last = next.catch(() => undefined);
    return next;
  };

  const refuseUnlessWithin = (by: Principal, document: KeyDocument): void => {
    const own = by.isOperator ? undefined : find(by.tenant, by.key);
    if (!by.isOperator && own?.principal !== by)
      throw new MillraceError(
        'unauthorized',
        'Your own key was changed or removed meanwhile; nothing was done.',
      );
    const issues = beyond({ ...by, expiresAtMs: own?.document.expiresAtMs ?? null }, document);
    if (issues.length === 0) return;
    const words = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
    throw new MillraceError('forbidden', `A key cannot give what it has not itself: ${words}.`, { issues });
  };
  const makeSecret = (): { readonly text: string; readonly secret: KeySecret } => {
    for (;;) {
      const text = makeKeyText(random(KEY_RANDOM_BYTES));
      const prefix = prefixOf(text)!;
      if (authenticator.isPrefixTaken(prefix)) continue;
      const hash = hashOfKey(text).toString('hex');
      return { text, secret: { hash, prefix, createdAtMs: clock.now(), untilMs: null } };
    }
  };

  return {
    name: 'keys',
    list: (tenant) =>
      [...(byTenant.get(tenant)?.values() ?? [])].map(viewOf).sort((a, b) => (a.name < b.name ? -1 : 1)),
    get: (tenant, name) => {
      const standing = find(tenant, name);
      return standing && viewOf(standing);
    },

    put: (tenant, name, value, by, ifVersion) =>
      inTurn(async () => {
        if (!NAME.test(name) || name === 'operator') throw badName(name);
        const document = parseKeyDocument(value, clock.now());
        refuseUnlessWithin(by, document);
        const standing = find(tenant, name);
        const json = keyDocumentToJson(document);
        if (standing === undefined) {
          if ((byTenant.get(tenant)?.size ?? 0) >= KEYS_MAX)
            throw new MillraceError('conflict', `A tenant has at most ${KEYS_MAX} keys; remove some first.`);
          const { text, secret } = makeSecret();
          const record = await records.put(
            tenant,
            name,
            { secrets: [secret], document: json },
            ifVersion ?? 0,
          );
          return { key: viewOf(stand(record)), secret: text };
        }
        const { version, secrets } = standing.record;
        const isSame = JSON.stringify(json) === JSON.stringify(standing.record.document);
        if (isSame && (ifVersion ?? version) === version) return { key: viewOf(standing), secret: undefined };
        const record = await records.put(tenant, name, { secrets, document: json }, ifVersion ?? version);
        return { key: viewOf(stand(record)), secret: undefined };
      }),

    rotate: (tenant, name, overlapMs, by, ifVersion) =>
      inTurn(async () => {
        const standing = find(tenant, name);
        if (standing === undefined) throw unknownKey(name);
        // Whoever rotates a key holds it afterwards.
        refuseUnlessWithin(by, standing.document);
        const now = clock.now();
        const { version, secrets, document } = standing.record;
        const [newest] = secrets;
        const before =
          newest === undefined || overlapMs === 0 ? [] : [{ ...newest, untilMs: now + overlapMs }];
        const { text, secret } = makeSecret();
        const record = await records.put(
          tenant,
          name,
          { secrets: [secret, ...before], document },
          ifVersion ?? version,
        );
        return { key: viewOf(stand(record)), secret: text };
      }),

    remove: (tenant, name, ifVersion) =>
      inTurn(async () => {
        if (find(tenant, name) === undefined) throw unknownKey(name);
        await records.remove(tenant, name, ifVersion);
        set(tenant, name, undefined);
        accept();
      }),

    authenticate: (tenant, text, remote) => authenticator.authenticate(tenant, text, remote),
    authenticateKey: (tenant, text, remote) => authenticator.authenticateKey(tenant, text, remote),
    namesOrigin: (principal, origin) => originsOf.get(principal)?.has(origin) ?? false,
    isKnownOrigin: (origin) => origins.has(origin),

    holdings: async (tenant): Promise<readonly Holding[]> => {
      const count = byTenant.get(tenant)?.size ?? 0;
      return count === 0 ? [] : [{ what: count === 1 ? '1 key' : `${count} keys`, bytes: undefined }];
    },
    erase: (tenant) =>
      inTurn(async () => {
        for (const name of [...(byTenant.get(tenant)?.keys() ?? [])]) await records.remove(tenant, name);
        byTenant.delete(tenant);
        accept();
      }),
    close: () => writer.close(),
  };
}

function viewOf({ record, uses }: StandingKey): KeyView {
  return {
    name: record.name,
    version: record.version,
    document: record.document,
    secrets: record.secrets.map(({ prefix, createdAtMs, untilMs }) => ({ prefix, createdAtMs, untilMs })),
    createdAtMs: record.createdAtMs,
    updatedAtMs: record.updatedAtMs,
    lastUsedAtMs: uses.atMs,
  };
}

export const unknownKey = (name: string): MillraceError =>
  new MillraceError(
    'unknown-key',
    `There is no key ${JSON.stringify(name)}. PUT /v1/keys/NAME makes one; GET /v1/keys lists them.`,
  );

function badName(name: string): MillraceError {
  const message = name === 'operator' ? 'is the name of the key of the installation' : NAME_RULE;
  return new MillraceError('bad-definition', `the name ${JSON.stringify(name)}: ${message}`, {
    issues: [{ path: 'name', message }],
  });
}
