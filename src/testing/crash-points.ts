/**
 * Places on an event's path at which a test can let the system die. What is told of each is what is on the disk then.
 *
 *   log ──▶ staged ──▶ decided ──▶ events ──▶ rollups ──▶ position        outbox ──▶ receiver
 *       │          │           │                      │                          │
 *    'logged'      │        'stored'               'applied'                 'delivered'
 *               'decided'
 */

/**
 * - `logged`: the events are in the log, and nothing else has been done with them
 * - `decided`: what becomes of each is decided for good, and none is in a table
 * - `stored`: they are in the table of events, and neither in rollups nor known to be applied
 * - `applied`: they are everywhere, and the sender has not heard of it
 * - `delivered`: a webhook or a mail has left, and the system does not know whether it arrived
 */
export type CrashPoint = 'logged' | 'decided' | 'stored' | 'applied' | 'delivered';

export const CRASH_POINTS: readonly CrashPoint[] = ['logged', 'decided', 'stored', 'applied', 'delivered'];

/** A statement or a call that stands directly behind or before a point. */
export type Step =
  | { readonly kind: 'statement'; readonly when: 'before' | 'after'; readonly text: string }
  | { readonly kind: 'file'; readonly when: 'after'; readonly path: string }
  | { readonly kind: 'message'; readonly when: 'after' };

export function pointOf(step: Step): CrashPoint | undefined {
  if (step.kind === 'message') return 'delivered';
  if (step.kind === 'file') return /\/ingest\/.*\/position-[^/]*$/.test(step.path) ? 'applied' : undefined;
  const into = /^\s*INSERT INTO `[^`]+`\.`(stage|events)_/.exec(step.text)?.[1];
  if (into === 'stage') return step.when === 'before' ? 'logged' : undefined;
  if (into === 'events') return step.when === 'before' ? 'decided' : 'stored';
  return undefined;
}
