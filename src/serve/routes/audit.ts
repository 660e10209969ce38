import { type Issue, MillraceError } from '../../base/errors.ts';
import { parseTime } from '../../stats/index.ts';
import { TENANT_HEADER } from '../authenticate.ts';
import { auditAnswer, auditQuery } from '../key-schemas.ts';
import { problems } from '../schemas.ts';
import type { App, RouteContext } from './context.ts';

/** `GET /v1/audit`: a tenant sees what was done to its things; the operator sees all, or those of one tenant. */
export function auditRoutes(app: App, { audit, clock, principalOf }: RouteContext): void {
  app.get(
    '/v1/audit',
    {
      schema: {
        operationId: 'listAudit',
        summary: 'Who did what, and what was refused, newest first',
        description:
          'Every change of keys, tenants and definitions, every replay, repair, acknowledgement and cancelled run. Kept for two years.',
        tags: ['Operation'],
        querystring: auditQuery,
        response: { 200: auditAnswer, ...problems('bad-request', 'unauthorized', 'forbidden') },
      },
    },
    async (request) => {
      const { tenant: asked, action, actor, from, to, limit, cursor } = request.query;
      const issues: Issue[] = [];
      const note = (path: string, message: string) => issues.push({ path, message });
      const fromMs = parseTime('from', from, clock.now(), 'UTC', note);
      const toMs = parseTime('to', to, clock.now(), 'UTC', note);
      if (issues.length > 0)
        throw new MillraceError('bad-request', 'The range is not understood.', { issues });
      const principal = principalOf(request);
      const seesAll = principal.isOperator && request.headers[TENANT_HEADER] === undefined;
      const own = seesAll ? undefined : principal.tenant;
      // What was done to others looks as if nothing was.
      if (own !== undefined && asked !== undefined && asked !== own)
        return { entries: [], next_cursor: null };
      const found = await audit.list({
        ...{ tenant: own ?? asked, action, actor, fromMs, toMs, before: cursor, limit: limit + 1 },
      });
      const entries = found.slice(0, limit);
      return {
        entries: entries.map(({ id, atMs, detail, requestId, ...entry }) => ({
          id,
          at: new Date(atMs).toISOString(),
          ...{ tenant: entry.tenant, actor: entry.actor, action: entry.action, subject: entry.subject },
          outcome: entry.outcome,
          detail: { ...detail },
          request_id: requestId,
        })),
        next_cursor: found.length > limit ? entries.at(-1)!.id : null,
      };
    },
  );
}
