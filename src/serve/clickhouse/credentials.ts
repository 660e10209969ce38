/** Who asks, in the four ways in which clients of ClickHouse say it. */
import type { IncomingHttpHeaders } from 'node:http';
import { DEFAULT_TENANT } from '../../base/brand.ts';
import type { Principal, Remote } from '../../tenants/index.ts';
import type { AuthenticateKey } from '../authenticate.ts';
import { Refusal } from './refusal.ts';

interface Credentials {
  readonly user: string;
  readonly key: string;
}

/**
 * `Authorization: Basic` and `Bearer`, `X-ClickHouse-User` and `-Key`, `user` and `password` of the address, the first
 * that is there. A user of no name, or `default`, is the key's own tenant. Fails with `REQUIRED_PASSWORD` or as
 * `authenticateKey` does.
 */
export function principalOf(
  headers: IncomingHttpHeaders,
  url: URLSearchParams,
  remote: Remote,
  authenticateKey: AuthenticateKey,
): Principal {
  const found = credentialsOf(headers, url);
  if (found === undefined || found.key === '') {
    throw new Refusal(
      'REQUIRED_PASSWORD',
      'Authentication failed: send the name of the tenant as user and a key as password',
    );
  }
  const tenant = found.user === '' || found.user === DEFAULT_TENANT ? undefined : found.user;
  return authenticateKey(tenant, found.key, remote);
}

function credentialsOf(headers: IncomingHttpHeaders, url: URLSearchParams): Credentials | undefined {
  const { authorization } = headers;
  const basic = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '')?.[1];
  if (basic !== undefined) return pairOf(Buffer.from(basic, 'base64').toString('utf8'));
  const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (bearer !== undefined) return { user: '', key: bearer };
  const user = headers['x-clickhouse-user'];
  const key = headers['x-clickhouse-key'];
  if (typeof key === 'string') return { user: typeof user === 'string' ? user : '', key };
  const password = url.get('password');
  return password === null ? undefined : { user: url.get('user') ?? '', key: password };
}

function pairOf(text: string): Credentials {
  const colon = text.indexOf(':');
  return colon === -1 ? { user: text, key: '' } : { user: text.slice(0, colon), key: text.slice(colon + 1) };
}
