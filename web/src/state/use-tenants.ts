import { listTenants, type TenantInfo } from '../api/access.ts';
import type { Api } from '../api/client.ts';
import { type Answered, useAnswer } from './use-answer.ts';

const REFRESH_MS = 10_000;

/**
 * The tenants that the key may know of; refused when it is no admin's, and then not asked for again. Asked for once,
 * and every few seconds while they are `watched`.
 */
export function useTenants(
  api: Api | undefined,
  attempt: number,
  watched: boolean,
): Answered<readonly TenantInfo[]> {
  const answered = useAnswer({
    question: api === undefined ? undefined : `tenants ${attempt}`,
    revision: () => (watched ? String(Math.floor(Date.now() / REFRESH_MS)) : 'once'),
    ask: (signal) => listTenants(api!, signal),
  });
  // What another key saw is not shown to this one.
  const isOlder = answered.stale && answered.error === undefined;
  return isOlder || answered.refused ? { ...answered, answer: undefined } : answered;
}
