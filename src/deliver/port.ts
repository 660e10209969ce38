/** Messages to the world outside: webhooks and mail, each sent at least once, in the order of entry per destination. */
import type { TenantId } from '../base/brand.ts';
import type { StateChange } from '../catalog/index.ts';

export interface WebhookMessage {
  /** The receiver's means to know a repetition: the `webhook-id` header. One that is no header is sent as its hash. */
  readonly id: string;
  readonly kind: 'webhook';
  /** `http:` or `https:`. */
  readonly url: string;
  /** What happened, in words joined by full stops: `trigger.firing`. */
  readonly type: string;
  /** JSON: the member `data` of what is sent. `{type, timestamp, data}` is signed and sent, the same at every try. */
  readonly body: unknown;
}

export interface Attachment {
  /** The file's name. */
  readonly name: string;
  /** The media type. */
  readonly type: string;
  /** Base64; or a `reference` that the deliverer's `attachment` finds when the mail is sent. */
  readonly bytes?: string;
  readonly reference?: string;
}

export interface EmailMessage {
  readonly id: string;
  readonly kind: 'email';
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  readonly attachments?: readonly Attachment[];
}

export type Message = WebhookMessage | EmailMessage;

/**
 * The transactional outbox. What wants a message sent writes the change of `entering` together with its own state, in one
 * `catalog.state.write`: both are there, or neither.
 *
 * @example
 * await catalog.state.write(tenant, [...own, outbox.entering(tenant, message)]);
 * outbox.entered(tenant);
 */
export interface Outbox {
  /**
   * The change that enters a message. It decides the place in the order, so write soon. It never fails: a message that is
   * malformed or too large, or one too many, enters as a dead letter that says so.
   */
  entering(tenant: TenantId, message: Message): StateChange;
  /** Said behind the write, it is sent at once; unsaid, about a second later. */
  entered(tenant: TenantId): void;
}

export type DeliveryState = 'waiting' | 'dead';

/** One message that waits, or was given up. */
export interface DeliveryView {
  /** Names it in lists and replays; another one than the message's id, which may enter more than once. */
  readonly delivery: string;
  /** The message's id. */
  readonly id: string;
  readonly kind: Message['kind'];
  readonly state: DeliveryState;
  /** The address without what it may hold of secrets; or the mail addresses. */
  readonly destination: string;
  readonly type: string;
  /** `{stream, name}` of the subscription whose event it is. */
  readonly subscription?: { readonly stream: string; readonly name: string };
  readonly enteredAtMs: number;
  readonly attempts: number;
  /** Of what waits: not before. */
  readonly nextAtMs?: number;
  /** Of a dead letter. */
  readonly diedAtMs?: number;
  readonly lastError?: string;
}

export interface DeliveryFigures {
  readonly waiting: number;
  readonly dead: number;
  /** Since the start of the process. */
  readonly sent: number;
  /** Tries that did not succeed, since the start of the process. */
  readonly failed: number;
  /** Dead letters that were forgotten because there were too many, since the start of the process. */
  readonly forgotten: number;
  /** Entry of the oldest that waits, epoch ms. */
  readonly oldestAtMs: number | undefined;
}

export interface Deliveries extends Outbox {
  /** In the order of entry (waiting), the newest first (dead). */
  list(tenant: TenantId, state: DeliveryState, limit?: number): Promise<readonly DeliveryView[]>;
  /**
   * Dead letters wait again: those named, or all. Returns how many; names that are not there count nothing. Fails with
   * `too-busy` when so many wait that none may enter.
   */
  replay(tenant: TenantId, deliveries?: readonly string[]): Promise<number>;
  figures(tenant: TenantId): DeliveryFigures;
}
