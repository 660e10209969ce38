/** `/v1/deliveries`: what waits to be sent, what was given up, and the way back; the secrets that sign. */
import type { DeliveryView } from '../../deliver/index.ts';
import { parseOverlap } from '../../tenants/index.ts';
import {
  deliveriesAnswer,
  deliveriesQuery,
  replayDeliveriesAnswer,
  replayDeliveriesRequest,
  rotateSecretRequest,
  secretsAnswer,
} from '../delivery-schemas.ts';
import { problems } from '../schemas.ts';
import type { App, RouteContext } from './context.ts';

export function deliveryRoutes(app: App, { deliver, tenantOf }: RouteContext): void {
  const { deliveries, secrets } = deliver;

  app.get(
    '/v1/deliveries',
    {
      schema: {
        operationId: 'listDeliveries',
        summary: 'Webhooks and mails that wait, or were given up',
        description:
          'Events that a webhook of a stream has not come to yet are not listed: it tells how far it is.',
        tags: ['Deliveries'],
        querystring: deliveriesQuery,
        response: { 200: deliveriesAnswer, ...problems('bad-request', 'unauthorized', 'forbidden') },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { state, limit } = request.query;
      const { waiting, dead, oldestAtMs } = deliveries.figures(tenant);
      return {
        deliveries: (await deliveries.list(tenant, state, limit)).map(describe),
        ...{ waiting, dead, oldest_waiting: isoOrNull(oldestAtMs) },
      };
    },
  );

  app.post(
    '/v1/deliveries/replay',
    {
      schema: {
        operationId: 'replayDeliveries',
        summary: 'Has dead letters sent again, under the same ids',
        tags: ['Deliveries'],
        body: replayDeliveriesRequest,
        response: {
          200: replayDeliveriesAnswer,
          ...problems('bad-request', 'unauthorized', 'forbidden', 'too-busy'),
        },
      },
    },
    async (request) => ({ replayed: await deliveries.replay(tenantOf(request), request.body.deliveries) }),
  );

  app.get(
    '/v1/webhook-secret',
    {
      schema: {
        operationId: 'getWebhookSecret',
        summary: 'The secrets by which receivers check that a webhook is from here',
        tags: ['Deliveries'],
        response: { 200: secretsAnswer, ...problems('unauthorized', 'forbidden') },
      },
    },
    async (request) => ({ secrets: (await secrets.current(tenantOf(request))).map(describeSecret) }),
  );

  app.post(
    '/v1/webhook-secret/rotate',
    {
      schema: {
        operationId: 'rotateWebhookSecret',
        summary: 'Signs by a new secret, and by those before for a while',
        tags: ['Deliveries'],
        body: rotateSecretRequest,
        response: { 200: secretsAnswer, ...problems('bad-request', 'unauthorized', 'forbidden') },
      },
    },
    async (request) => {
      const rotated = await secrets.rotate(tenantOf(request), parseOverlap(request.body.overlap));
      return { secrets: rotated.map(describeSecret) };
    },
  );
}

const iso = (ms: number): string => new Date(ms).toISOString();
const isoOrNull = (ms: number | undefined | null): string | null =>
  ms === undefined || ms === null ? null : iso(ms);

const describeSecret = (one: {
  readonly secret: string;
  readonly createdAtMs: number;
  readonly untilMs: number | null;
}) => ({ secret: one.secret, created_at: iso(one.createdAtMs), until: isoOrNull(one.untilMs) });

const describe = ({ delivery, id, kind, state, destination, type, attempts, ...view }: DeliveryView) => ({
  ...{ delivery, id, kind, state, destination, type, attempts },
  webhook: view.subscription ?? null,
  entered_at: iso(view.enteredAtMs),
  next_at: isoOrNull(view.nextAtMs),
  died_at: isoOrNull(view.diedAtMs),
  last_error: view.lastError ?? null,
});
