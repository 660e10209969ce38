/** One try of a webhook: signed as Standard Webhooks asks, bounded in time and bytes both ways. */
import { Webhook } from 'standardwebhooks';
import type { Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { AddressRefused } from './connector.ts';
import { type Outcome, outcomeOfAnswer } from './outcome.ts';
import type { SealedWebhook } from './records.ts';
import type { Secrets } from './secrets.ts';
import type { Send } from './transport.ts';

export interface WebhookParts {
  readonly agent: Dispatcher;
  readonly secrets: Pick<Secrets, 'current'>;
  readonly clock: Clock;
  /** From the beginning of a try to the end of its answer. */
  readonly tryMs: number;
}

/** Of an answer only the status counts; a little is read so that the connection can be used again. */
const ANSWER_BYTES_MAX = 16_384;

export function createWebhookSender(parts: WebhookParts): Send<SealedWebhook> {
  const { agent, secrets, clock, tryMs } = parts;
  return async (tenant, message, signal) => {
    const signing = await secrets.current(tenant);
    const nowMs = clock.now();
    const sent = new Date(nowMs);
    const ended = new AbortController();
    // Of this try alone: signals that are joined to one that lives long are never let go by it.
    const given = new AbortController();
    let isTooLate = false;
    const giveUp = (): void => given.abort();
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    void clock.sleep(tryMs, ended.signal).then(() => {
      isTooLate = !ended.signal.aborted;
      giveUp();
    });
    try {
      const url = new URL(message.url);
      const answer = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Millrace-Webhooks',
          'webhook-id': message.id,
          'webhook-timestamp': String(Math.floor(nowMs / 1_000)),
          'webhook-signature': signing
            .map(({ secret }) => new Webhook(secret).sign(message.id, sent, message.text))
            .join(' '),
        },
        body: message.text,
        signal: given.signal,
      });
      const retryAfter = answer.headers['retry-after'];
      // The answer's status is the receiver's word, whatever becomes of the rest of it.
      await answer.body.dump({ limit: ANSWER_BYTES_MAX }).catch(() => undefined);
      return outcomeOfAnswer(answer.statusCode, [retryAfter].flat()[0], nowMs);
    } catch (error) {
      if (isTooLate) return { kind: 'again', reason: `no answer within ${tryMs} ms` };
      return outcomeOfError(error);
    } finally {
      signal.removeEventListener('abort', giveUp);
      ended.abort();
    }
  };
}

function outcomeOfError(error: unknown): Outcome {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (one instanceof AddressRefused) return { kind: 'never', reason: one.message };
  }
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  return { kind: 'again', reason: `the receiver cannot be reached: ${code ?? message ?? 'unknown'}` };
}
