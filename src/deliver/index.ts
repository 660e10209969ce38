export { type Deliver, type DeliverParts, openDeliver } from './open.ts';
export type { Outcome } from './outcome.ts';
export * from './port.ts';
export type { Sealed } from './records.ts';
export { isMailAddress, urlMistake } from './seal.ts';
export type { SubscriptionView } from './subscription.ts';
export { subscriptionDocument } from './subscription-document.ts';
export { noWebhook, type Subscriptions } from './subscriptions.ts';
export type { Send } from './transport.ts';
