/**
 * Who it is that holds a key:
 *
 *     text ──verified before──▶ principal              a map's get; nothing is hashed
 *       └──▶ its address was wrong too often? ──yes, and no such prefix──▶ 429, nothing is hashed
 *              └──▶ SHA-256, compared in constant time ──▶ principal, or 401 and the address has been wrong
 *
 * Expiry and the state of the tenant are looked at every time.
 */
import { timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { DEFAULT_TENANT, type TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { Allowance, type AllowanceLimits } from './allowance.ts';
import { hashOfKey, prefixOf } from './key-text.ts';
import { networkOf } from './network.ts';
import type { Principal, TenantDirectory } from './port.ts';
import type { StandingKey } from './standing-key.ts';

/** The key of the installation, by what may be kept of it. */
export interface OperatorKey {
  /** SHA-256 of the key. */
  readonly hash: Uint8Array;
  /** CRC-32 of the key, if it is known: spares hashing what an address sends that was wrong too often. */
  readonly crc?: number | undefined;
}

/** Where a request comes from: a socket. Read only when a key is wrong. */
export interface Remote {
  readonly remoteAddress?: string | undefined;
}

export interface AuthenticatorOptions {
  readonly operator: OperatorKey;
  readonly tenants: Pick<TenantDirectory, 'state'>;
  readonly clock: Clock;
  readonly wrongKeys?: AllowanceLimits;
}

interface Accepted {
  readonly standing: StandingKey;
  readonly hash: Uint8Array;
  /** The end of the secret or of the key, whichever comes first. */
  readonly untilMs: number;
}

/** Texts that were found good; to hash one costs more than the rest of a small request. */
const VERIFIED_MAX = 10_000;
const OPERATORS_MAX = 10_000;
/** Of one address. */
const WRONG_KEYS: AllowanceLimits = { burst: 20, everyMs: 5_000, sourcesMax: 10_000 };

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #wrong: Allowance;
  readonly #byPrefix = new Map<string, Accepted>();
  // Only good texts are kept: a stranger's guesses neither fill the map nor can be timed by it.
  readonly #verified = new Map<string, Accepted>();
  /** The operator's text, once it was verified. Other keys do not change it. */
  readonly #operatorTexts = new Set<string>();
  readonly #operators = new Map<TenantId, Principal>();
  /** Called at the first use of a key since its uses were taken. */
  readonly #onUse: (standing: StandingKey) => void;

  constructor(options: AuthenticatorOptions, onUse: (standing: StandingKey) => void) {
    this.#options = options;
    this.#onUse = onUse;
    this.#wrong = new Allowance(options.clock, options.wrongKeys ?? WRONG_KEYS);
  }

  /** From now on these keys are accepted and no others. */
  accept(keys: Iterable<StandingKey>): void {
    this.#byPrefix.clear();
    this.#verified.clear();
    for (const standing of keys) {
      for (const { prefix, hash, untilMs } of standing.record.secrets) {
        this.#byPrefix.set(prefix, {
          standing,
          hash: Buffer.from(hash, 'hex'),
          untilMs: Math.min(
            untilMs ?? Number.POSITIVE_INFINITY,
            standing.document.expiresAtMs ?? Number.POSITIVE_INFINITY,
          ),
        });
      }
    }
  }

  isPrefixTaken(prefix: string): boolean {
    return this.#byPrefix.has(prefix);
  }

  /**
   * `tenant`: for which tenant the operator acts; other keys may name only their own.
   *
   * @throws MillraceError `unauthorized`, `too-busy` when the address was wrong too often, `tenant-suspended`, `unknown-tenant`.
   */
  authenticate(tenant: string | undefined, text: string, remote: Remote): Principal {
    const standing = this.#holder(text, remote);
    if (standing === 'operator') return this.#operatorFor(tenant);
    const { principal } = standing;
    this.#refuseUnlessActive(standing);
    if (tenant !== undefined && tenant !== principal.tenant) throw unknownTenant(tenant);
    return principal;
  }

  /** As `authenticate`, for a name and password: a right key with a wrong name is a wrong key. */
  authenticateKey(tenant: string | undefined, text: string, remote: Remote): Principal {
    const standing = this.#holder(text, remote);
    const { tenants } = this.#options;
    const isRight =
      tenant === undefined ||
      (standing === 'operator'
        ? tenants.state(tenant as TenantId) !== undefined
        : tenant === standing.principal.tenant);
    if (!isRight) throw this.#refusal(remote, this.#wrong.waitMs(networkOf(remote.remoteAddress)));
    if (standing === 'operator') return this.#operatorFor(tenant);
    this.#refuseUnlessActive(standing);
    return standing.principal;
  }

  #holder(text: string, remote: Remote): StandingKey | 'operator' {
    const now = this.#options.clock.now();
    const verified = this.#verified.get(text);
    if (verified !== undefined && now < verified.untilMs) return this.#use(verified.standing, now);
    if (this.#operatorTexts.has(text)) return 'operator';
    return this.#verify(text, remote, now);
  }

  #verify(text: string, remote: Remote, now: number): StandingKey | 'operator' {
    const { operator, tenants } = this.#options;
    const waitMs = this.#wrong.waitMs(networkOf(remote.remoteAddress));
    const prefix = prefixOf(text);
    const found = prefix === undefined ? undefined : this.#byPrefix.get(prefix);
    if (waitMs > 0 && found === undefined && !mayBe(operator, text)) throw tooOften(waitMs);
    const hash = hashOfKey(text);
    if (isSame(hash, operator.hash)) {
      this.#operatorTexts.add(text);
      return 'operator';
    }
    // The keys of a tenant that does not exist are like keys that never were.
    const isKnown =
      found !== undefined &&
      isSame(hash, found.hash) &&
      tenants.state(found.standing.principal.tenant) !== undefined;
    if (!isKnown) throw this.#refusal(remote, waitMs);
    if (now >= found.untilMs) throw ended(found, now);
    if (this.#verified.size >= VERIFIED_MAX) this.#verified.clear();
    this.#verified.set(text, found);
    return this.#use(found.standing, now);
  }

  #use(standing: StandingKey, now: number): StandingKey {
    const { uses } = standing;
    uses.atMs = now;
    if (!uses.isFresh) {
      uses.isFresh = true;
      this.#onUse(standing);
    }
    return standing;
  }

  #refuseUnlessActive({ principal: { tenant } }: StandingKey): void {
    const state = this.#options.tenants.state(tenant);
    if (state === 'active') return;
    if (state === undefined) throw wrongKey();
    throw new MillraceError(
      'tenant-suspended',
      state === 'suspended'
        ? 'Your tenant is suspended: nothing is taken and nothing is answered. Ask the operator of this installation.'
        : 'Your tenant is being deleted.',
    );
  }

  #operatorFor(tenant: string = DEFAULT_TENANT): Principal {
    const name = tenant as TenantId;
    const state = this.#options.tenants.state(name);
    if (state === undefined) throw unknownTenant(tenant);
    if (state === 'deleting')
      throw new MillraceError('tenant-suspended', `The tenant ${JSON.stringify(tenant)} is being deleted.`);
    let principal = this.#operators.get(name);
    if (principal === undefined) {
      if (this.#operators.size >= OPERATORS_MAX) this.#operators.clear();
      principal = operatorOf(name);
      this.#operators.set(name, principal);
    }
    return principal;
  }

  #refusal(remote: Remote, waitMs: number): MillraceError {
    this.#wrong.take(networkOf(remote.remoteAddress));
    return waitMs > 0 ? tooOften(waitMs) : wrongKey();
  }
}

/** The operator, acting for a tenant. */
export const operatorOf = (tenant: TenantId): Principal =>
  Object.freeze({
    tenant,
    key: 'operator',
    isOperator: true,
    scopes: [],
    rowFilters: {},
    limits: {},
  });

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/** Without its CRC every text may be the operator's. */
const mayBe = ({ crc }: OperatorKey, text: string): boolean => crc === undefined || crc32(text) === crc;

const wrongKey = (): MillraceError =>
  new MillraceError('unauthorized', 'The key is not known here; check it for missing characters.');

const tooOften = (waitMs: number): MillraceError =>
  new MillraceError('too-busy', 'Too many wrong keys came from your address; wait before you try another.', {
    retryAfterSeconds: Math.ceil(waitMs / 1_000),
  });

const unknownTenant = (tenant: string): MillraceError =>
  new MillraceError('unknown-tenant', `There is no tenant ${JSON.stringify(tenant)} for this key.`);

function ended({ standing }: Accepted, now: number): MillraceError {
  const { expiresAtMs } = standing.document;
  return new MillraceError(
    'unauthorized',
    expiresAtMs !== null && now >= expiresAtMs
      ? `The key "${standing.record.name}" has expired at ${new Date(expiresAtMs).toISOString()}.`
      : `This secret of the key "${standing.record.name}" was replaced by a rotation; use the new one.`,
  );
}
