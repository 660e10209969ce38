/** The stage as a whole: outbox, senders, secrets. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { Catalog } from '../catalog/index.ts';
import type { Settings } from '../config.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Events } from '../stats/port.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import { receiverAgent } from './connector.ts';
import { createDeliveries, type DeliveriesParts, type RunningDeliveries } from './deliveries.ts';
import { createMailSender, type FindAttachment } from './mail.ts';
import { createSecrets, type Secrets } from './secrets.ts';
import { createSubscriptions, type Subscriptions } from './subscriptions.ts';
import { deliverPart } from './tenant-part.ts';
import type { Send } from './transport.ts';
import { createWebhookSender } from './webhook.ts';

export interface DeliverParts {
  readonly settings: Pick<Settings, 'MILLRACE_SMTP' | 'MILLRACE_MAIL_FROM' | 'MILLRACE_WEBHOOK_PRIVATE'>;
  readonly catalog: Pick<Catalog, 'state' | 'stream'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly events: Pick<Events, 'matching'>;
  readonly tenants: Pick<TenantDirectory, 'state' | 'list' | 'limits'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: DeliveriesParts['logger'];
  /** Finds attachments that mails refer to. */
  readonly attachment?: FindAttachment;
  readonly bounds?: DeliveriesParts['bounds'];
  /** Instead of the network: who tries a system out looks at what it would send. */
  readonly send?: Send;
}

export interface Deliver {
  readonly deliveries: RunningDeliveries;
  readonly secrets: Secrets;
  readonly subscriptions: Subscriptions;
  readonly part: TenantPart;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const CONNECT_MS = 5_000;
const ANSWER_MS = 15_000;
const TRY_MS = 20_000;

export function openDeliver(parts: DeliverParts): Deliver {
  const { settings, catalog, tenants, clock, ids, logger } = parts;
  const allowsPrivate = settings.MILLRACE_WEBHOOK_PRIVATE === 'allow';
  const secrets = createSecrets({ state: catalog.state, clock, randomBytes });
  const agent = receiverAgent({
    ...{ allowsPrivate, connectMs: CONNECT_MS, answerMs: ANSWER_MS },
  });
  const webhook = createWebhookSender({ agent, secrets, clock, tryMs: TRY_MS });
  const mail = createMailSender({
    ...{ server: settings.MILLRACE_SMTP, from: settings.MILLRACE_MAIL_FROM },
    ...(parts.attachment === undefined ? {} : { attachment: parts.attachment }),
  });
  const send: Send =
    parts.send ??
    ((tenant, message, signal) =>
      message.kind === 'webhook' ? webhook(tenant, message, signal) : mail.send(tenant, message, signal));
  const random = (): number => Buffer.from(ids.uuidV7(clock.now())).readUInt32BE(12) / 2 ** 32;
  const common = { state: catalog.state, clock, tenants, logger, random, send };
  const deliveries = createDeliveries({
    ...common,
    ...(parts.bounds === undefined ? {} : { bounds: parts.bounds }),
  });
  const subscriptions = createSubscriptions({ ...parts, ...common, deliveries, allowsPrivate });
  return {
    deliveries,
    secrets,
    subscriptions,
    part: deliverPart({
      quiet: async (tenant) => {
        await subscriptions.quiet(tenant);
        await deliveries.quiet(tenant);
      },
      forget: (tenant) => {
        subscriptions.forget(tenant);
        deliveries.forget(tenant);
        secrets.forget(tenant);
      },
    }),
    start: async () => {
      await deliveries.start();
      await subscriptions.start();
    },
    stop: async () => {
      await subscriptions.stop();
      await deliveries.stop();
      mail.close();
      await agent.destroy();
    },
  };
}
