/** The world outside: what the system under test would have sent. */
import type { Outcome, Sealed, Send } from '../deliver/index.ts';

/** A webhook that has left, as its receiver got it. */
export interface Webhook {
  readonly kind: 'webhook';
  /** The `webhook-id` header. */
  readonly id: string;
  readonly url: string;
  readonly type: string;
  /** What was sent, read as JSON: `{type, timestamp, data}`. */
  readonly body: { readonly type: string; readonly timestamp: string; readonly data: unknown };
  readonly at: Date;
}

/** A mail that has left. */
export interface Mail {
  readonly kind: 'email';
  readonly id: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string | undefined;
  readonly attachments: readonly { readonly name: string; readonly type: string }[];
  readonly at: Date;
}

export type Delivery = Webhook | Mail;

export class Outside {
  readonly #now: () => number;
  readonly #sent = new Map<string, Delivery[]>();
  #reason: string | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly send: Send = async (tenant, message): Promise<Outcome> => {
    if (this.#reason !== undefined) return { kind: 'again', reason: this.#reason };
    const sent = this.#sent.get(tenant) ?? [];
    this.#sent.set(tenant, sent);
    sent.push(deliveryOf(message, new Date(this.#now())));
    return { kind: 'sent' };
  };

  /** In the order in which they left. */
  sentBy(tenant: string): readonly Delivery[] {
    return [...(this.#sent.get(tenant) ?? [])];
  }

  /** Every try fails for this reason; undefined: they arrive again. */
  fail(reason: string | undefined): void {
    this.#reason = reason;
  }
}

function deliveryOf(message: Sealed, at: Date): Delivery {
  if (message.kind === 'webhook') {
    const { kind, id, url, type, text } = message;
    return { kind, id, url, type, body: JSON.parse(text), at };
  }
  const { kind, id, to, subject, text, html, attachments = [] } = message;
  return {
    kind,
    id,
    to,
    subject,
    text,
    html,
    attachments: attachments.map(({ name, type }) => ({ name, type })),
    at,
  };
}
