/** `Authorization: Bearer KEY`, and for whom the operator acts (`Millrace-Tenant: NAME`). */
import type { IncomingHttpHeaders } from 'node:http';
import { MillraceError } from '../base/errors.ts';
import type { Keys, Principal, Remote } from '../tenants/index.ts';

/** Fails with `unauthorized`, `too-busy` (wrong too often), `tenant-suspended` or `unknown-tenant`. */
export type Authenticate = (headers: IncomingHttpHeaders, remote: Remote) => Principal;

/** `tenant` and `key` of a name and password, as HTTP Basic has them; fails as `Authenticate`. */
export type AuthenticateKey = Keys['authenticateKey'];

export const TENANT_HEADER = 'millrace-tenant';

export function createAuthenticate(keys: Pick<Keys, 'authenticate'>): Authenticate {
  return (headers, remote) => {
    const { authorization } = headers;
    if (authorization === undefined) {
      throw new MillraceError('unauthorized', 'Send the key as "Authorization: Bearer KEY".');
    }
    const key = bearerOf(authorization);
    if (key === undefined) {
      throw new MillraceError('unauthorized', 'The header must read "Authorization: Bearer KEY".');
    }
    return keys.authenticate(headers[TENANT_HEADER] as string | undefined, key, remote);
  };
}

function bearerOf(authorization: string): string | undefined {
  // As nearly everybody writes it; a regular expression costs more than all the rest.
  if (authorization.startsWith('Bearer ') && !authorization.includes(' ', 7)) {
    return authorization.length === 7 ? undefined : authorization.slice(7);
  }
  return /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
}
