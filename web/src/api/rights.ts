/** What the key that asks may do, so that nothing is offered that would be refused. */
import type { Api } from './client.ts';

export type Need = 'stats:read' | 'sql:read' | 'definitions:write' | 'admin';

export interface Rights {
  may(need: Need): boolean;
  /** Windows, triggers, reports and tables hold rows of everybody: a key that sees only some gets none of them. */
  readonly seesAll: boolean;
}

/** Before it is known, and of a server that does not tell: the server refuses in its own words. */
export const UNKNOWN_RIGHTS: Rights = { may: () => true, seesAll: true };

type Loose = Readonly<Record<string, unknown>>;

export async function askRights(api: Api, signal: AbortSignal): Promise<Rights> {
  const { operator, scopes, filtered } = (await api.get('v1/access', signal)) as Loose;
  const has = new Set(Array.isArray(scopes) ? scopes.map(String) : []);
  const isAdmin = operator === true || has.has('admin');
  return {
    may: (need) => isAdmin || has.has(need),
    seesAll: !Array.isArray(filtered) || filtered.length === 0,
  };
}
