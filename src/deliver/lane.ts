/**
 * One destination's messages, one after the other:
 *
 *   read the head ─▶ wait until its time ─▶ wait for a place ─▶ try ─┬─ sent: removed ──────────────▶ read the next head
 *        ▲                                                         ├─ again later: its time moves ─▶ read the head
 *        │                                                         └─ given up: a dead letter ─────▶ read the next head
 *        └─ a crash anywhere: what was sent and not marked is sent again, under the same id
 *
 * Nothing of a message is kept in memory while it waits.
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { FairQueue } from '../base/fair-queue.ts';
import type { StateChange, StateRecords } from '../catalog/index.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import type { Books, Bounds, TenantBook } from './book.ts';
import { nextAfter, type Outcome } from './outcome.ts';
import { AREA, change, type Dead, deadKey, type Waiting, waitingKey } from './records.ts';
import { attempt, type Send } from './transport.ts';
import { shownDestination } from './view.ts';

export interface LaneParts {
  readonly state: Pick<StateRecords, 'list' | 'write'>;
  readonly clock: Clock;
  readonly tenants: Pick<TenantDirectory, 'state'>;
  /** In [0, 1). */
  readonly random: () => number;
  readonly send: Send;
  readonly places: FairQueue;
  readonly books: Books;
  readonly bounds: Bounds;
  readonly logger: { warn(details: object, message: string): void };
}

const LOOK_AGAIN_MS = 60_000;
const STATE_AWAY_MS = 1_000;

/** Resolves when nothing waits for the destination, or when `signal` is aborted. `hasMore`: asked before it ends. */
export async function runLane(
  parts: LaneParts,
  tenant: TenantId,
  destination: string,
  signal: AbortSignal,
  hasMore: () => boolean,
): Promise<void> {
  const { state, clock, tenants, logger } = parts;
  while (!signal.aborted) {
    try {
      if (tenants.state(tenant) !== 'active') {
        await clock.sleep(LOOK_AGAIN_MS, signal);
        continue;
      }
      const [head] = await state.list<Waiting>(tenant, AREA, ['waiting', destination], 1);
      if (head === undefined) {
        if (hasMore()) continue;
        return;
      }
      const delivery = String(head.key[2]);
      noteHead(parts.books.of(tenant), destination, delivery, head.value);
      const waitMs = head.value.nextAtMs - clock.now();
      if (waitMs > 0) await clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), signal);
      else await tryOne(parts, tenant, { destination, delivery, waiting: head.value }, signal);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ err: error, tenant }, 'deliveries cannot be read or marked; trying again');
      await clock.sleep(STATE_AWAY_MS, signal);
    }
  }
}

interface Head {
  readonly destination: string;
  readonly delivery: string;
  readonly waiting: Waiting;
}

async function tryOne(parts: LaneParts, tenant: TenantId, head: Head, signal: AbortSignal): Promise<void> {
  const leave = await parts.places.enter(tenant, signal);
  let outcome: Outcome;
  try {
    outcome = await attempt(parts.send, tenant, head.waiting.message, signal);
  } finally {
    leave();
  }
  // Ended in the middle: nobody knows what became of it, so it counts as not tried.
  if (signal.aborted && outcome.kind !== 'sent') return;
  const changes = settle(parts, tenant, head, outcome);
  await persist(parts, tenant, changes, signal);
}

/** What was sent must not be sent again because the catalog is away for a moment. */
export async function persist(
  {
    state,
    clock,
    logger,
  }: Pick<LaneParts, 'clock' | 'logger'> & { readonly state: Pick<StateRecords, 'write'> },
  tenant: TenantId,
  changes: readonly StateChange[],
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      return await state.write(tenant, changes);
    } catch (error) {
      if (signal.aborted) throw error;
      logger.warn({ err: error, tenant }, 'a delivery could not be marked; trying again');
      await clock.sleep(STATE_AWAY_MS, signal);
    }
  }
}

function settle(parts: LaneParts, tenant: TenantId, head: Head, outcome: Outcome): readonly StateChange[] {
  const { clock, books, random } = parts;
  const { destination, delivery, waiting } = head;
  const book = books.of(tenant);
  const key = waitingKey(destination, delivery);
  if (outcome.kind === 'sent') {
    book.sent += 1;
    book.waiting.delete(delivery);
    return [change(key, undefined)];
  }
  book.failed += 1;
  const nowMs = clock.now();
  const attempts = waiting.attempts + 1;
  const next = nextAfter(outcome, { attempts, ageMs: nowMs - waiting.enteredAtMs, random: random() });
  const tried = { ...waiting, attempts, lastError: outcome.reason };
  if (next.kind === 'wait') return [change(key, { ...tried, nextAtMs: nowMs + next.ms } satisfies Waiting)];
  book.waiting.delete(delivery);
  const { id, kind } = waiting.message;
  parts.logger.warn(
    { tenant, delivery, id, kind, destination: shownDestination(waiting.message), attempts },
    `a message was given up: ${outcome.reason}`,
  );
  return [change(key, undefined), ...burying(parts, tenant, delivery, { ...tried, diedAtMs: nowMs })];
}

/** The changes that enter a dead letter, and forget the oldest when there are too many. */
export function burying(
  { books, bounds }: Pick<LaneParts, 'books' | 'bounds'>,
  tenant: TenantId,
  delivery: string,
  dead: Dead,
): readonly StateChange[] {
  const book = books.of(tenant);
  const bytes = Buffer.byteLength(JSON.stringify(dead));
  book.dead.set(delivery, { destination: '', bytes, enteredAtMs: dead.enteredAtMs });
  const gone = book.tooMany(bounds);
  for (const one of gone) book.dead.delete(one);
  book.forgotten += gone.length;
  return [change(deadKey(delivery), dead), ...gone.map((one) => change(deadKey(one), undefined))];
}

function noteHead(book: TenantBook, destination: string, delivery: string, waiting: Waiting): void {
  const promised = book.promised.entries.get(delivery);
  book.promised.delete(delivery);
  if (book.waiting.entries.has(delivery)) return;
  const bytes = promised?.bytes ?? Buffer.byteLength(JSON.stringify(waiting));
  book.waiting.set(delivery, { destination, bytes, enteredAtMs: waiting.enteredAtMs });
}
