/** Two tenants with streams, keys of every kind, and a marker in everything that belongs to one of them. */
import type { TenantId } from '../../src/base/brand.ts';
import type { ServeDeps } from '../../src/serve/index.ts';
import { operatorOf } from '../../src/tenants/index.ts';
import { type Call, type Parts, type Reply, startServer } from './support.ts';

export const ACME = 'acme' as TenantId;
export const OTHER = 'other' as TenantId;

/** A server of three tenants: `default`, `acme` and `other`. */
export async function startTenants(parts: Parts, changes: Partial<ServeDeps> = {}) {
  const { tenants, keys } = parts.deps;
  for (const tenant of [ACME, OTHER]) await tenants.put(tenant, {});
  const server = await startServer(parts, changes);
  const makeKey = async (tenant: TenantId, name: string, document: object): Promise<string> =>
    (await keys.put(tenant, name, document, operatorOf(tenant))).secret!;
  return {
    ...server,
    keys,
    makeKey,
    as: (key: string): Call => as(server.call, key),
    operatorFor: (tenant: string): Call => withHeaders(server.call, { 'millrace-tenant': tenant }),
  };
}

export type Tenants = Awaited<ReturnType<typeof startTenants>>;

export const as = (call: Call, key: string): Call => withHeaders(call, { authorization: `Bearer ${key}` });

const withHeaders =
  (call: Call, more: Readonly<Record<string, string>>): Call =>
  (method, path, body, headers = {}) =>
    call(method, path, body, { ...more, ...headers });

/** What of an answer its asker can see, without what differs from request to request by nature. */
export function visible({ status, headers, text }: Reply): {
  status: number;
  headers: unknown;
  text: string;
} {
  const kept = [...headers].filter(([name]) => !['date', 'x-request-id', 'keep-alive'].includes(name));
  const requestId = headers.get('x-request-id') ?? '-';
  return { status, headers: kept, text: text.replaceAll(requestId, 'ID').replace(/"elapsed_ms":[\d.]+/, '') };
}
