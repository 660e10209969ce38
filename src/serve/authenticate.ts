import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { DEFAULT_TENANT } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Principal } from '../tenants/index.ts';

export type Authenticate = (headers: IncomingHttpHeaders) => Principal;

/** Headers that were found good; hashing a key costs more than the rest of a small request. */
const VERIFIED_MAX = 64;
const OPERATOR: Principal = Object.freeze({
  tenant: DEFAULT_TENANT,
  key: 'operator',
  isOperator: true,
  scopes: [],
  rowFilters: {},
  limits: {},
});

/** Checks `Authorization: Bearer KEY` against the hash of the admin key. Fails with `unauthorized`. */
export function createAuthenticate(adminKeyHash: string): Authenticate {
  const expected = Buffer.from(adminKeyHash, 'hex');
  // Only good headers are kept: a stranger's guesses neither fill the map nor can be timed by it.
  const verified = new Map<string, Principal>();
  return ({ authorization }) => {
    if (authorization === undefined) {
      throw new MillraceError('unauthorized', 'Send the key as "Authorization: Bearer KEY".');
    }
    const known = verified.get(authorization);
    if (known !== undefined) return known;
    const key = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (key === undefined) {
      throw new MillraceError('unauthorized', 'The header must read "Authorization: Bearer KEY".');
    }
    const actual = createHash('sha256').update(key).digest();
    if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
      throw new MillraceError('unauthorized', 'The key is not known here; check it for missing characters.');
    }
    if (verified.size >= VERIFIED_MAX) verified.clear();
    verified.set(authorization, OPERATOR);
    return OPERATOR;
  };
}
