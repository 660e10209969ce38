/** What is sent to others: webhooks of streams, what of all messages waits or was given up, and the secrets that sign. */
import { conditionOf } from './definitions.ts';
import { pathOf, queryText } from './query.ts';
import type { Transport } from './transport.ts';

export interface WebhookDocument {
  readonly url: string;
  /** Conditions `field:op:value`, all of which hold for what is sent. */
  readonly filter?: readonly string[] | undefined;
  /** Of a new one: `now` (the default), or `start` for all that the stream holds. */
  readonly from?: 'now' | 'start' | undefined;
  readonly paused?: boolean | undefined;
}

export interface WebhookInfo {
  readonly stream: string;
  readonly name: string;
  readonly version: number;
  readonly url: string;
  readonly filter: readonly string[];
  readonly state: 'active' | 'paused' | 'off';
  /** Why it is off. */
  readonly reason: string | null;
  /** Records of the stream that were not looked at yet. */
  readonly behind: number;
  /** The event that is tried again. */
  readonly failing: {
    readonly partition: number;
    readonly offset: number;
    readonly attempts: number;
    readonly next_at: string;
    readonly last_error: string;
  } | null;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface WebhookSecret {
  /** `whsec_` and base64, as libraries of Standard Webhooks take it. */
  readonly secret: string;
  readonly created_at: string;
  /** When one from before a rotation ends. */
  readonly until: string | null;
}

export interface DeliveryInfo {
  /** Its name in a replay. */
  readonly delivery: string;
  /** The message's id. */
  readonly id: string;
  readonly kind: 'webhook' | 'email';
  readonly state: 'waiting' | 'dead';
  readonly destination: string;
  readonly type: string;
  readonly webhook: { readonly stream: string; readonly name: string } | null;
  readonly entered_at: string;
  readonly attempts: number;
  readonly next_at: string | null;
  readonly died_at: string | null;
  readonly last_error: string | null;
}

export interface DeliveryList {
  readonly deliveries: readonly DeliveryInfo[];
  readonly waiting: number;
  readonly dead: number;
  readonly oldest_waiting: string | null;
}

const JSON_BODY = { 'content-type': 'application/json' };

/**
 * @example
 * await client.webhooks.put('alarms', 'pager', { url: 'https://hooks.example.com/alarms', filter: ['severity:gte:3'] });
 */
export class WebhooksClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(stream: string): Promise<readonly WebhookInfo[]> {
    const path = pathOf('streams', stream, 'webhooks');
    const answer = await this.#transport.get(path);
    return (answer as { readonly webhooks: readonly WebhookInfo[] }).webhooks;
  }

  async get(stream: string, name: string): Promise<WebhookInfo> {
    const path = pathOf('streams', stream, 'webhooks', name);
    return (await this.#transport.get(path)) as WebhookInfo;
  }

  /** Makes one or changes it; it goes on, at once, where it was. `ifVersion` 0: only when there is none. */
  async put(
    stream: string,
    name: string,
    document: WebhookDocument,
    { ifVersion }: { readonly ifVersion?: number | undefined } = {},
  ): Promise<WebhookInfo> {
    return (await this.#transport.json({
      ...{ method: 'PUT', path: pathOf('streams', stream, 'webhooks', name) },
      ...{ body: JSON.stringify(document), headers: { ...JSON_BODY, ...conditionOf(ifVersion) } },
      repeatable: ifVersion === undefined ? 'safe' : 'refused',
    })) as WebhookInfo;
  }

  /** Nothing more is sent when it resolves. */
  async remove(stream: string, name: string): Promise<void> {
    const path = pathOf('streams', stream, 'webhooks', name);
    await this.#transport.json({ method: 'DELETE', path, repeatable: 'refused' });
  }

  /** Those that sign now, the newest first. */
  async secrets(): Promise<readonly WebhookSecret[]> {
    const path = pathOf('webhook-secret');
    const answer = await this.#transport.get(path);
    return (answer as { readonly secrets: readonly WebhookSecret[] }).secrets;
  }

  /** A new one signs from now on; those before sign too for `overlap` (default 24h). */
  async rotateSecret(
    options: { readonly overlap?: string | undefined } = {},
  ): Promise<readonly WebhookSecret[]> {
    const answer = await this.#transport.json({
      ...{ method: 'POST', path: pathOf('webhook-secret', 'rotate'), body: JSON.stringify(options) },
      ...{ headers: JSON_BODY, repeatable: 'refused' as const },
    });
    return (answer as { readonly secrets: readonly WebhookSecret[] }).secrets;
  }
}

/**
 * @example
 * await client.deliveries.replay();    // everything that was given up, again, under the same ids
 */
export class DeliveriesClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Those that were given up (`dead`, the default; the newest first), or those that wait, in their order. */
  async list(
    question: {
      readonly state?: 'waiting' | 'dead' | undefined;
      /** 1 to 1000, default 100. */
      readonly limit?: number | undefined;
    } = {},
  ): Promise<DeliveryList> {
    const path = `${pathOf('deliveries')}${queryText(question)}`;
    return (await this.#transport.get(path)) as DeliveryList;
  }

  /** Has them sent again; without names, all that were given up. Resolves with how many wait again. */
  async replay(deliveries?: readonly string[]): Promise<number> {
    const answer = await this.#transport.json({
      ...{ method: 'POST', path: pathOf('deliveries', 'replay'), headers: JSON_BODY },
      ...{ body: JSON.stringify({ deliveries }), repeatable: 'refused' as const },
    });
    return (answer as { readonly replayed: number }).replayed;
  }
}
