/**
 * How deliveries lie in the catalog's state, area `deliver`:
 *
 *   ["waiting", DESTINATION, DELIVERY]   Waiting: entered, not sent yet
 *   ["dead", DELIVERY]                   Dead: given up
 *   ["secret"]                           Secrets by which webhooks are signed
 *   ["subscription", STREAM, NAME]       Subscription
 *   ["position", STREAM, NAME]           Position of a subscription
 *
 *   DESTINATION = 16 hexadecimal digits of SHA-256 over what is sent to; messages to one are sent in the order of DELIVERY
 *   DELIVERY    = 21 digits: the millisecond of entry, and a count; their order as text is that of entry
 */
import { createHash } from 'node:crypto';
import type { StateChange, StateKey } from '../catalog/index.ts';
import type { Attachment } from './port.ts';

export const AREA = 'deliver';

/** A webhook as it is sent: the text does not change between tries, or its signature would. */
export interface SealedWebhook {
  readonly kind: 'webhook';
  readonly id: string;
  readonly url: string;
  readonly type: string;
  readonly text: string;
}

export interface SealedEmail {
  readonly kind: 'email';
  readonly id: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  readonly attachments?: readonly Attachment[];
}

export type Sealed = SealedWebhook | SealedEmail;

export interface SubscriptionName {
  readonly stream: string;
  readonly name: string;
}

export interface Waiting {
  readonly message: Sealed;
  readonly enteredAtMs: number;
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly lastError?: string;
  /** The subscription whose dead letter this was. */
  readonly subscription?: SubscriptionName;
}

export interface Dead extends Waiting {
  readonly diedAtMs: number;
}

export const waitingKey = (destination: string, delivery: string): StateKey => [
  'waiting',
  destination,
  delivery,
];
export const deadKey = (delivery: string): StateKey => ['dead', delivery];

export const change = (key: StateKey, value: unknown): StateChange => ({ area: AREA, key, value });

export function destinationOf(message: Sealed): string {
  const target = message.kind === 'webhook' ? [message.url] : [...message.to].sort();
  return createHash('sha256')
    .update(JSON.stringify([message.kind, ...target]))
    .digest('hex')
    .slice(0, 16);
}

/** Deliveries are named in the order of entry, also when the clock was set back or the process began anew. */
export class DeliveryNames {
  #ms = 0;
  #count = 0;

  next(nowMs: number): string {
    if (nowMs > this.#ms) {
      this.#ms = nowMs;
      this.#count = 0;
    } else if (this.#count === COUNT_MAX) {
      this.#ms += 1;
      this.#count = 0;
    } else {
      this.#count += 1;
    }
    return String(this.#ms).padStart(15, '0') + String(this.#count).padStart(6, '0');
  }

  /** One of an earlier life: the next come behind it. */
  seen(delivery: string): void {
    const ms = Number(delivery.slice(0, 15));
    const count = Number(delivery.slice(15));
    if (ms < this.#ms || (ms === this.#ms && count <= this.#count)) return;
    this.#ms = ms;
    this.#count = count;
  }
}

const COUNT_MAX = 999_999;
