/** Webhooks of streams, messages that wait, dead letters and their replay. */
import { type Count, toCount } from '../model/count.ts';
import { readTime } from '../model/format.ts';
import { loose, looseList, textOf } from '../model/loose.ts';
import type { Api } from './client.ts';

export interface WebhookInfo {
  readonly stream: string;
  readonly name: string;
  readonly url: string;
  readonly filter: readonly string[];
  /** `active`, `paused` or `off`. */
  readonly state: string;
  readonly reason: string | undefined;
  readonly behind: Count;
  /** Of the event that is tried again. */
  readonly lastError: string | undefined;
  readonly attempts: Count;
}

export async function listWebhooks(
  api: Api,
  stream: string,
  signal: AbortSignal,
): Promise<readonly WebhookInfo[]> {
  const answer = loose(await api.get(`v1/streams/${encodeURIComponent(stream)}/webhooks`, signal));
  return looseList(answer.webhooks).map((hook) => ({
    ...{ stream, name: String(hook.name), url: String(hook.url), state: String(hook.state) },
    filter: Array.isArray(hook.filter) ? hook.filter.map(String) : [],
    reason: textOf(hook.reason),
    behind: toCount(hook.behind),
    lastError: textOf(loose(hook.failing).last_error),
    attempts: toCount(loose(hook.failing).attempts),
  }));
}

export interface Delivery {
  readonly delivery: string;
  readonly id: string;
  readonly kind: string;
  readonly destination: string;
  readonly type: string;
  readonly enteredMs: number | null;
  readonly attempts: Count;
  readonly nextMs: number | null;
  readonly lastError: string | undefined;
}

export interface Deliveries {
  readonly deliveries: readonly Delivery[];
  readonly waiting: number;
  readonly dead: number;
}

export async function listDeliveries(
  api: Api,
  state: 'dead' | 'waiting',
  limit: number,
  signal: AbortSignal,
): Promise<Deliveries> {
  const answer = loose(await api.get(`v1/deliveries?state=${state}&limit=${limit}`, signal));
  return {
    deliveries: looseList(answer.deliveries).map((one) => ({
      ...{ delivery: String(one.delivery), id: String(one.id), kind: String(one.kind) },
      ...{ destination: String(one.destination), type: String(one.type) },
      enteredMs: readTime(one.entered_at),
      attempts: toCount(one.attempts),
      nextMs: readTime(one.next_at),
      lastError: textOf(one.last_error),
    })),
    waiting: Number(toCount(answer.waiting)),
    dead: Number(toCount(answer.dead)),
  };
}

/** Absent: every dead letter. */
export async function replayDeliveries(api: Api, deliveries?: readonly string[]): Promise<Count> {
  const body = deliveries === undefined ? {} : { deliveries };
  const path = 'v1/deliveries/replay';
  return toCount(loose(await api.change({ method: 'POST', path, body })).replayed);
}
