/** A webhook subscription as it is written: `PUT /v1/streams/STREAM/webhooks/NAME`. */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { Issue } from '../base/errors.ts';
import { badDefinition } from '../define/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import { NAME, NAME_RULE } from '../define/model.ts';
import { parseEventConditions } from '../stats/index.ts';
import { isPublicAddress } from './address.ts';
import { urlMistake } from './seal.ts';

const CONDITIONS_MAX = 20;

export const subscriptionDocument = z.strictObject({
  url: z.string().describe('Where events are posted to: https, or http.'),
  filter: z
    .array(z.string())
    .max(CONDITIONS_MAX)
    .default([])
    .describe('Conditions field:op:value, as in questions; an event is sent when all of them hold.'),
  from: z
    .enum(['now', 'start'])
    .default('now')
    .describe('Of a new webhook: `now`: what is stored from now on; `start`: all that the stream holds.'),
  paused: z.boolean().default(false).describe('true: nothing is sent, and nothing is skipped.'),
});

export type SubscriptionDocument = z.output<typeof subscriptionDocument>;

/** Fails with `bad-definition`, every mistake at once. */
export function parseSubscription(
  name: string,
  document: unknown,
  context: { readonly stream: StreamDefinition; readonly nowMs: number; readonly allowsPrivate: boolean },
): SubscriptionDocument {
  const issues: Issue[] = [];
  if (!NAME.test(name)) issues.push({ path: 'name', message: NAME_RULE });
  const parsed = subscriptionDocument.safeParse(document);
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      issues.push({ path: issue.path.join('.'), message: issue.message });
    throw badDefinition(`the webhook ${JSON.stringify(name)}`, issues);
  }
  const { url, filter } = parsed.data;
  const wrong = urlMistake(url) ?? (context.allowsPrivate ? undefined : hostMistake(url));
  if (wrong !== undefined) issues.push({ path: 'url', message: wrong });
  filter.forEach((text, index) => {
    const mistakes: Issue[] = [];
    parseEventConditions([text], context.stream, context.nowMs, mistakes);
    issues.push(...mistakes.map(({ message }) => ({ path: `filter.${index}`, message })));
  });
  if (issues.length > 0) throw badDefinition(`the webhook ${JSON.stringify(name)}`, issues);
  return parsed.data;
}

/** Names are judged when they are connected to; addresses can be told at once. */
function hostMistake(url: string): string | undefined {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
  const isRefused = host === 'localhost' || (isIP(host) > 0 && !isPublicAddress(host));
  return isRefused
    ? `${host} is not a public address; the operator may allow such receivers with MILLRACE_WEBHOOK_PRIVATE=allow`
    : undefined;
}
