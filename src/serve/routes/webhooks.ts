/** `/v1/streams/{stream}/webhooks`: who is sent a stream's events. */
import { z } from 'zod';
import type { TenantId } from '../../base/brand.ts';
import { MillraceError } from '../../base/errors.ts';
import { noWebhook, type SubscriptionView } from '../../deliver/index.ts';
import { allows } from '../../tenants/index.ts';
import { webhookAnswer, webhookParams, webhookRequest, webhooksAnswer } from '../delivery-schemas.ts';
import { conditionsOf, etagOf, requiredVersion } from '../etag.ts';
import { problems, streamParams } from '../schemas.ts';
import { type App, type RouteContext, streamOf } from './context.ts';

const nothing = z.null().describe('Done.');
const CONDITIONAL = 'ETag and If-Match work as compare-and-set; "If-None-Match: *" only creates.';

export function webhookRoutes(app: App, context: RouteContext): void {
  const { tenantOf, principalOf } = context;
  const { subscriptions } = context.deliver;
  const find = (tenant: TenantId, stream: string, name: string): SubscriptionView => {
    streamOf(context, tenant, stream);
    const found = subscriptions.get(tenant, stream, name);
    if (found === undefined) throw noWebhook(stream, name);
    return found;
  };

  app.get(
    '/v1/streams/:stream/webhooks',
    {
      schema: {
        operationId: 'listWebhooks',
        summary: 'Where the events of a stream are sent, and how far each is',
        tags: ['Deliveries'],
        params: streamParams,
        response: { 200: webhooksAnswer, ...problems('unauthorized', 'forbidden', 'unknown-stream') },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      return { webhooks: subscriptions.list(tenant, name).map(describe) };
    },
  );

  app.get(
    '/v1/streams/:stream/webhooks/:name',
    {
      schema: {
        operationId: 'getWebhook',
        summary: 'One webhook of a stream',
        tags: ['Deliveries'],
        params: webhookParams,
        response: { 200: webhookAnswer, ...problems('unauthorized', 'forbidden', 'unknown-stream') },
      },
    },
    async (request, reply) => {
      const { stream, name } = request.params;
      const found = find(tenantOf(request), stream, name);
      reply.header('etag', etagOf(found.version));
      return describe(found);
    },
  );

  app.put(
    '/v1/streams/:stream/webhooks/:name',
    {
      // Every mistake is told at once, those in its conditions too; the schema only describes it.
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: 'putWebhook',
        summary: 'Has the events of a stream sent to a URL, signed, in order, each at least once',
        description: `${CONDITIONAL} One that is there goes on where it was, at once.`,
        tags: ['Deliveries'],
        params: webhookParams,
        body: webhookRequest,
        response: {
          200: webhookAnswer,
          201: webhookAnswer,
          ...problems(
            ...(['bad-definition', 'unauthorized', 'forbidden', 'unknown-stream'] as const),
            ...(['precondition-failed', 'too-large', 'unsupported-media-type'] as const),
          ),
        },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { tenant } = principal;
      const { stream, name } = request.params;
      streamOf(context, tenant, stream);
      if (!allows(principal, 'stats:read', stream)) {
        throw new MillraceError(
          'forbidden',
          `The key "${principal.key}" may not read the stream, so it may not have it sent; use a key with stats:read too.`,
        );
      }
      const standing = subscriptions.get(tenant, stream, name)?.version;
      const ifVersion = requiredVersion(conditionsOf(request.headers), standing);
      const { view, isNew } = await subscriptions.put(tenant, stream, name, request.body, ifVersion);
      reply.code(isNew ? 201 : 200).header('etag', etagOf(view.version));
      if (isNew)
        reply.header(
          'location',
          `/v1/streams/${encodeURIComponent(stream)}/webhooks/${encodeURIComponent(name)}`,
        );
      return describe(view);
    },
  );

  app.delete(
    '/v1/streams/:stream/webhooks/:name',
    {
      schema: {
        operationId: 'deleteWebhook',
        summary: 'Ends a webhook: nothing more is sent',
        description: CONDITIONAL,
        tags: ['Deliveries'],
        params: webhookParams,
        response: {
          204: nothing,
          ...problems('unauthorized', 'forbidden', 'unknown-stream', 'precondition-failed'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { stream, name } = request.params;
      const { version } = find(tenant, stream, name);
      await subscriptions.remove(
        tenant,
        stream,
        name,
        requiredVersion(conditionsOf(request.headers), version),
      );
      return reply.code(204).send(null);
    },
  );
}

const iso = (ms: number): string => new Date(ms).toISOString();

const describe = ({ failing, createdAtMs, updatedAtMs, reason, filter, ...view }: SubscriptionView) => ({
  ...view,
  filter: [...filter],
  reason: reason ?? null,
  failing:
    failing === undefined
      ? null
      : {
          ...{ partition: failing.partition, offset: failing.offset, attempts: failing.attempts },
          ...{ next_at: iso(failing.nextAtMs), last_error: failing.lastError },
        },
  created_at: iso(createdAtMs),
  updated_at: iso(updatedAtMs),
});
