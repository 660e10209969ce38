/** `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]`; `rediss:` with TLS. */
import { MillraceError } from '../base/errors.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly tls: boolean;
  /** Keeps installations that share a server apart; undefined: the installation's own id. */
  readonly prefix: string | undefined;
}

/**
 * Fails with `bad-request` and words that never hold the password.
 *
 * @example
 * readRedisAddress('redis://cache.internal/2').database; // 2
 */
export function readRedisAddress(text: string): RedisAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw mistake('it is not a URL');
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw mistake('it begins with redis: or rediss:');
  if (url.hostname === '') throw mistake('the host is missing');
  if (!/^(\/\d{0,3})?$/.test(url.pathname))
    throw mistake('behind the host stands the number of a database, or nothing');
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'prefix');
  if (unknown !== undefined) throw mistake(`there is no parameter "${unknown}", only prefix`);
  const decoded = (part: string): string | undefined => {
    if (part === '') return undefined;
    try {
      return decodeURIComponent(part);
    } catch {
      throw mistake('the user or the password holds a malformed percent escape');
    }
  };
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 6_379 : Number(url.port),
    username: decoded(url.username),
    password: decoded(url.password),
    database: Number(url.pathname.slice(1)),
    tls: url.protocol === 'rediss:',
    prefix: url.searchParams.get('prefix') || undefined,
  };
}

const mistake = (why: string): MillraceError =>
  new MillraceError(
    'bad-request',
    `the address of the cache is not understood: ${why}; write redis://USER:PASSWORD@HOST:6379/0, or memory:`,
  );
