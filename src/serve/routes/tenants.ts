/** `GET|PUT|DELETE /v1/tenants/{name}`: the operator's business; a tenant's admin may read his own. */
import { z } from 'zod';
import { DEFAULT_TENANT, type TenantId } from '../../base/brand.ts';
import { actorOf, noTenant, type Principal, type Tenant, tenantDocument } from '../../tenants/index.ts';
import { logBytes, tableBytes } from '../../usage/index.ts';
import { conditionsOf, etagOf, requiredVersion } from '../etag.ts';
import { nameParams, problems, runAnswer } from '../schemas.ts';
import {
  tenantAnswer,
  tenantDeletionForecast,
  tenantDeletionQuery,
  tenantsAnswer,
} from '../tenant-schemas.ts';
import type { App, RouteContext } from './context.ts';
import { answerRun } from './started-run.ts';

/** How long a deletion is waited for before the answer says that it goes on. */
const WAIT_SECONDS = 5;

export function tenantRoutes(app: App, context: RouteContext): void {
  const { tenants, audit, deletion, runs, catalog, log, engine, principalOf } = context;

  const describer = async () => {
    const stored = await tableBytes(engine);
    const logged = logBytes(log);
    return async ({ name, version, state, document, alias, createdAtMs, updatedAtMs }: Tenant) => ({
      ...{ name: name as string, version, state, document },
      created_at: new Date(createdAtMs).toISOString(),
      updated_at: new Date(updatedAtMs).toISOString(),
      limits: { ...tenants.limits(name) } as Record<string, number>,
      usage: {
        streams: catalog.streams(name).length,
        rollups: catalog.rollups(name).length,
        stored_bytes: stored.get(name) ?? 0,
        log_bytes: logged.get(name) ?? 0,
      },
      deletion: alias === undefined ? null : ((await deletion.underWay(alias))?.id ?? null),
    });
  };
  /** Of another tenant than his own nobody but the operator learns anything, not even that there is one. */
  const mayKnow = ({ isOperator, tenant }: Principal, name: string): boolean => isOperator || tenant === name;
  const tenantFor = (principal: Principal, name: string): Tenant => {
    const tenant = mayKnow(principal, name) ? tenants.get(name) : undefined;
    if (tenant === undefined) throw noTenant(name);
    return tenant;
  };
  app.get(
    '/v1/tenants',
    {
      schema: {
        operationId: 'listTenants',
        summary: 'Every tenant; with a tenant’s own key, that one',
        tags: ['Tenants'],
        response: { 200: tenantsAnswer, ...problems('unauthorized', 'forbidden') },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const describe = await describer();
      const shown = tenants.all().filter(({ name }) => mayKnow(principal, name));
      return { tenants: await Promise.all(shown.map(describe)) };
    },
  );

  app.get(
    '/v1/tenants/:name',
    {
      schema: {
        operationId: 'getTenant',
        summary: 'One tenant: its limits, and what it takes',
        tags: ['Tenants'],
        params: nameParams,
        response: { 200: tenantAnswer, ...problems('unauthorized', 'forbidden', 'unknown-tenant') },
      },
    },
    async (request, reply) => {
      const tenant = tenantFor(principalOf(request), request.params.name);
      reply.header('etag', etagOf(tenant.version));
      return (await describer())(tenant);
    },
  );

  app.put(
    '/v1/tenants/:name',
    {
      // Every mistake is told with a hint; the schema only describes the document.
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: 'putTenant',
        summary: 'Makes or changes a tenant, suspends it or lets it go on',
        description:
          'What the document does not say is as if it never was said: limits that are left out are those of the installation. `"state": "suspended"` suspends. ETag and If-Match work as compare-and-set; "If-None-Match: *" only creates.',
        tags: ['Tenants'],
        params: nameParams,
        body: tenantDocument,
        response: {
          200: tenantAnswer,
          201: tenantAnswer,
          ...problems('bad-definition', 'unauthorized', 'forbidden', 'conflict', 'precondition-failed'),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const ifVersion = requiredVersion(conditionsOf(request.headers), tenants.get(name)?.version);
      const { tenant, created } = await tenants.put(name, request.body, { ifVersion });
      reply.code(created ? 201 : 200).header('etag', etagOf(tenant.version));
      if (created) reply.header('location', `/v1/tenants/${encodeURIComponent(name)}`);
      return (await describer())(tenant);
    },
  );

  app.delete(
    '/v1/tenants/:name',
    {
      schema: {
        operationId: 'deleteTenant',
        summary: 'Erases a tenant with everything that is its own',
        description:
          'Cannot be taken back or cancelled. It is a run: 200 when it has ended, 202 while it goes on, through restarts too; asked again, it answers with the same run. `dry_run=true` lists what would go.',
        tags: ['Tenants'],
        params: nameParams,
        querystring: tenantDeletionQuery,
        response: {
          200: z.union([runAnswer, tenantDeletionForecast]),
          202: runAnswer,
          ...problems('unauthorized', 'forbidden', 'unknown-tenant', 'conflict', 'precondition-failed'),
        },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const tenant = tenantFor(principal, request.params.name);
      const ifVersion = requiredVersion(conditionsOf(request.headers), tenant.version);
      if (request.query.dry_run === 'true') return forecast(tenant.name);
      await audit.record({
        ...{ tenant: tenant.name, actor: actorOf(principal), action: 'tenant.delete' },
        ...{ subject: tenant.name, requestId: request.id },
      });
      const run = await deletion.start(tenant.name, { ifVersion });
      return answerRun(reply, runs, DEFAULT_TENANT, run, WAIT_SECONDS);
    },
  );

  const forecast = async (tenant: TenantId) => {
    const holdings = await deletion.holdings(tenant);
    return {
      ...{ tenant: tenant as string, dry_run: true as const },
      bytes: holdings.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
      holdings: holdings.map(({ part, what, bytes }) => ({ part, what, bytes: bytes ?? null })),
    };
  };
}
