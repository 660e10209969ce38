/**
 * Roles of the engine: what its own rights let a session do.
 *
 * In process the engine has one user, `default`, and reads users and roles from a file, once, when the first session
 * opens. That user has no rights of its own, only roles. A session of ours takes the full one; a guest takes one that
 * can read the database of its tenant and nothing else:
 *
 *   millrace            everything
 *   guest_of_TENANT     SELECT on t_TENANT.*                        databases that were there when the engine opened
 *   guest_newcomers     SELECT on t_*.* but for those databases     tenants that came later, until the next start
 *
 * What roles cannot do here: a statement `SET ROLE millrace` is obeyed from any session, `KILL QUERY` reaches
 * everything of the one user, and the function `file` asks for no right. So a guest takes only single statements that
 * read (guest-statement.ts), and functions are a matter of the guard (src/sql).
 */
import type { TenantId } from '../base/brand.ts';
import { namesIn, withPrivateFiles } from '../base/private-file.ts';
import { quoteIdentifier } from './sql.ts';

export const FULL_ROLE = 'millrace';
const NEWCOMERS = 'guest_newcomers';

/**
 * Reading the file takes the engine a second for a thousand roles, and a minute for ten thousand. Tenants beyond that
 * are newcomers.
 */
const ROLES_MAX = 500;

/** The role of a tenant that is called `newcomers` is still its own. */
const roleName = (tenant: string): string => `guest_of_${tenant}`;

/** Only such names are pasted into the file, whatever else lies in the directory. */
const DATABASE_FILE = /^t_([a-z][a-z0-9_]{0,62})\.sql$/;

/** Databases of tenants that lie in the engine's directory. */
export function tenantsIn(directory: string): readonly string[] {
  return namesIn(`${directory}/metadata`)
    .flatMap((file) => DATABASE_FILE.exec(file)?.[1] ?? [])
    .sort()
    .slice(0, ROLES_MAX);
}

/** The engine's users and roles, for these tenants. */
export function usersConfig(tenants: readonly string[]): string {
  const database = (tenant: string): string => `${quoteIdentifier(`t_${tenant}`)}.*`;
  const role = (name: string, ...statements: readonly string[]): string =>
    `<${name}><grants>${statements.map((one) => `<query>${one}</query>`).join('')}</grants></${name}>`;
  const revoked = tenants.map((tenant) => `SELECT ON ${database(tenant)}`);
  const roles = [
    role(FULL_ROLE, 'GRANT ALL ON *.* WITH GRANT OPTION'),
    ...tenants.map((tenant) => role(roleName(tenant), `GRANT SELECT ON ${database(tenant)}`)),
    role(
      NEWCOMERS,
      'GRANT SELECT ON t_*.*',
      ...(revoked.length === 0 ? [] : [`REVOKE ${revoked.join(', ')}`]),
    ),
  ];
  const names = [FULL_ROLE, NEWCOMERS, ...tenants.map(roleName)];
  const user = [
    '<password></password><networks><ip>127.0.0.1</ip></networks>',
    '<profile>default</profile><quota>default</quota>',
    `<grants><query>GRANT ${names.join(', ')}</query></grants>`,
  ];
  return [
    '<clickhouse>',
    '<profiles><default></default></profiles><quotas><default></default></quotas>',
    `<roles>${roles.join('\n')}</roles>`,
    `<users><default>${user.join('')}</default></users>`,
    '</clickhouse>',
  ].join('\n');
}

/**
 * Opens the engine's first session with these roles. The file is gone when it returns: it is read once, and tenants
 * that are erased may leave no trace.
 */
export function openWithRoles<Opened>(
  directory: string,
  open: (connectionArgs: readonly string[]) => Opened,
): Opened {
  const own = `${directory}/access`;
  const escaped = own.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const files = {
    'config.xml': `<clickhouse><users_config>${escaped}/users.xml</users_config></clickhouse>`,
    'users.xml': usersConfig(tenantsIn(directory)),
  };
  return withPrivateFiles(own, files, () => open([`--config-file=${own}/config.xml`]));
}

/** The role for guests of a tenant. `known` are the names of the engine's roles. */
export const roleOf = (tenant: TenantId, known: ReadonlySet<string>): string =>
  known.has(roleName(tenant)) ? roleName(tenant) : NEWCOMERS;
