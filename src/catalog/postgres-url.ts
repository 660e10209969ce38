/** `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME`, and everything else that libpq's URLs know. */
import { MillraceError } from '../base/errors.ts';

export interface PostgresTarget {
  /** For the driver; holds the password. */
  readonly connectionString: string;
  readonly schema: string;
  /** For people: host, port and database. */
  readonly place: string;
}

const SCHEMA_DEFAULT = 'millrace';

/** Fails with `bad-request`; the URL, which may hold a password, is never shown. */
export function parsePostgresUrl(text: string): PostgresTarget {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw mistake('is not a URL; write postgres://USER:PASSWORD@HOST:5432/DATABASE');
  }
  const schema = url.searchParams.get('schema') ?? SCHEMA_DEFAULT;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    throw mistake('names a schema that is not made of lower-case letters, digits and _');
  }
  url.searchParams.delete('schema');
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname);
  return {
    connectionString: url.toString(),
    schema,
    place: `${host || 'localhost'}:${url.port || '5432'}${url.pathname}, schema ${schema}`,
  };
}

const mistake = (what: string): MillraceError => new MillraceError('bad-request', `MILLRACE_CATALOG ${what}`);
