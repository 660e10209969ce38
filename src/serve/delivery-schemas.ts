/** The shapes of webhooks and deliveries over HTTP. */
import { z } from 'zod';
import { subscriptionDocument } from '../deliver/index.ts';
import { OVERLAP_DEFAULT } from '../tenants/index.ts';

const moment = z.iso.datetime({ offset: true });
const name = z.string();

export const webhookParams = z.object({
  stream: name.describe('Name of the stream.'),
  name: name.describe('Name of the webhook, of your choice.'),
});

const failing = z.object({
  partition: z.int(),
  offset: z.int(),
  attempts: z.int().min(1),
  next_at: moment,
  last_error: z.string(),
});

const webhookExample = {
  ...{ stream: 'alarms', name: 'pager', version: 1, url: 'https://hooks.example.com/alarms' },
  ...{ filter: ['severity:gte:3'], state: 'active', reason: null, behind: 0, failing: null },
  ...{ created_at: '2026-11-21T00:00:00.000Z', updated_at: '2026-11-21T00:00:00.000Z' },
};

export const webhookAnswer = z
  .object({
    ...{ stream: name, name },
    version: z.int().min(1).describe('Counts from 1; the ETag is `"VERSION"`.'),
    url: z.string(),
    filter: z.array(z.string()),
    state: z
      .enum(['active', 'paused', 'off'])
      .describe(
        'off: the receiver wanted no more, may not be sent to, or has failed for days; put it again.',
      ),
    reason: z.string().nullable().describe('Why it is off.'),
    behind: z.int().describe('Records of the stream that were not looked at yet.'),
    failing: failing.nullable().describe('The event that is tried again.'),
    created_at: moment,
    updated_at: moment,
  })
  .meta({ id: 'Webhook', examples: [webhookExample] });
export const webhooksAnswer = z.object({ webhooks: z.array(webhookAnswer) });

export const webhookRequest = subscriptionDocument.meta({
  examples: [{ url: 'https://hooks.example.com/alarms', filter: ['severity:gte:3'] }],
});

const secret = z.object({
  secret: z.string().describe('`whsec_` and base64, as libraries of Standard Webhooks take it.'),
  created_at: moment,
  until: moment.nullable().describe('When one from before a rotation ends.'),
});
export const secretsAnswer = z
  .object({ secrets: z.array(secret).describe('Those that sign now, the newest first.') })
  .meta({ id: 'WebhookSecrets' });
export const rotateSecretRequest = z
  .strictObject({
    overlap: z
      .string()
      .max(20)
      .default(OVERLAP_DEFAULT)
      .describe('How long the secrets before sign beside the new one: at most 90d; 0s: no longer.'),
  })
  .meta({ examples: [{}, { overlap: '24h' }] });

export const deliveriesQuery = z.strictObject({
  state: z.enum(['waiting', 'dead']).default('dead').describe('dead: given up. Default `dead`.'),
  limit: z.coerce.number<string>().int().min(1).max(1_000).default(100).describe('1 to 1000. Default 100.'),
});

const delivery = z.object({
  delivery: z.string().describe('Its name in a replay.'),
  id: z.string().describe("The message's id: `webhook-id`."),
  kind: z.enum(['webhook', 'email']),
  state: z.enum(['waiting', 'dead']),
  destination: z.string(),
  type: z.string(),
  webhook: z.object({ stream: name, name }).nullable().describe('Whose event it is.'),
  entered_at: moment,
  attempts: z.int(),
  next_at: moment.nullable(),
  died_at: moment.nullable(),
  last_error: z.string().nullable(),
});
export const deliveriesAnswer = z
  .object({
    deliveries: z.array(delivery).describe('Waiting: in the order of entry; dead: the newest first.'),
    waiting: z.int(),
    dead: z.int(),
    oldest_waiting: moment.nullable(),
  })
  .meta({ id: 'Deliveries' });

export const replayDeliveriesRequest = z
  .strictObject({
    deliveries: z.array(z.string().max(40)).max(1_000).optional().describe('Absent: every dead letter.'),
  })
  .meta({ examples: [{}, { deliveries: ['001795219200000000000'] }] });
export const replayDeliveriesAnswer = z.object({ replayed: z.int().describe('How many wait again.') });
