/** The outbox and what sends from it: a lane for each destination that something waits for. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { FairQueue } from '../base/fair-queue.ts';
import { Mutex } from '../base/mutex.ts';
import type { StateChange, StateEntry, StateRecords } from '../catalog/index.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import { BOUNDS, Books, type Bounds } from './book.ts';
import { burying, type LaneParts, runLane } from './lane.ts';
import type { Deliveries, DeliveryState, DeliveryView, Message } from './port.ts';
import {
  AREA,
  change,
  type Dead,
  DeliveryNames,
  deadKey,
  destinationOf,
  type Sealed,
  type Waiting,
  waitingKey,
} from './records.ts';
import { seal } from './seal.ts';
import { viewOf } from './view.ts';

export interface DeliveriesParts extends Pick<LaneParts, 'clock' | 'random' | 'send' | 'logger'> {
  readonly state: Pick<StateRecords, 'get' | 'list' | 'write'>;
  readonly tenants: Pick<TenantDirectory, 'state' | 'list'>;
  readonly bounds?: Partial<Bounds>;
  /** Tries at a time, of all tenants. */
  readonly places?: number;
}

export interface RunningDeliveries extends Deliveries {
  /** Reads what waits of an earlier life, and begins to send. */
  start(): Promise<void>;
  /** Resolves when no try is under way. Also ends those of one tenant for good. */
  quiet(tenant: TenantId): Promise<void>;
  /** The tenant may be used again, or was erased. */
  forget(tenant: TenantId): void;
  stop(): Promise<void>;
  /** A message that was given up elsewhere becomes a dead letter by these changes. */
  burying(tenant: TenantId, dead: Dead): readonly StateChange[];
  /** Counts a try that was made elsewhere. */
  tried(tenant: TenantId, isSent: boolean): void;
  readonly places: FairQueue;
}

const PROMISE_MS = 60_000;
const LOOK_MS = 1_000;
/** A place is held for as long as a receiver takes to answer: one tenant's are few of them, so that others never wait for it. */
const PLACES = 64;
const PLACES_OF_TENANT = 8;
/** More than there can be destinations. */
const LANES_MAX = 1_000_000;
const LIST_MAX = 1_000;
const LIST_DEFAULT = 100;
/** More than may wait, or be dead. */
const ALL = 100_000;

interface Lane {
  readonly stop: AbortController;
  hasMore: boolean;
  done: Promise<void>;
}

export function createDeliveries(given: DeliveriesParts): RunningDeliveries {
  const { state, clock, tenants, logger } = given;
  const books = new Books();
  const bounds: Bounds = { ...BOUNDS, ...given.bounds };
  const places = new FairQueue({
    ...{ places: given.places ?? PLACES, clock, waitingMax: LANES_MAX },
    heldMax: () => PLACES_OF_TENANT,
  });
  const parts: LaneParts = { ...given, bounds, books, places };
  const names = new DeliveryNames();
  const lanes = new Map<TenantId, Map<string, Lane>>();
  const ended = new Set<TenantId>();
  const stop = new AbortController();
  const turn = new Mutex();
  let isStarted = false;
  let looking: Promise<void> | undefined;

  const kick = (tenant: TenantId, destination: string): void => {
    if (!isStarted || stop.signal.aborted || ended.has(tenant)) return;
    const ofTenant = lanes.get(tenant) ?? new Map<string, Lane>();
    lanes.set(tenant, ofTenant);
    const known = ofTenant.get(destination);
    if (known !== undefined) {
      known.hasMore = true;
      return;
    }
    const lane: Lane = { stop: new AbortController(), hasMore: false, done: Promise.resolve() };
    ofTenant.set(destination, lane);
    const takeMore = (): boolean => {
      const { hasMore } = lane;
      lane.hasMore = false;
      // In the same breath as the answer: who comes later makes a new lane.
      if (!hasMore) ofTenant.delete(destination);
      return hasMore;
    };
    lane.done = runLane(parts, tenant, destination, lane.stop.signal, takeMore);
  };

  const kickPromised = (tenant: TenantId): void => {
    const destinations = [...books.of(tenant).promised.entries.values()].map((one) => one.destination);
    for (const destination of new Set(destinations)) kick(tenant, destination);
  };

  /** What was promised long ago is written or never will be. */
  const confirm = async (tenant: TenantId): Promise<void> => {
    const book = books.of(tenant);
    for (const [delivery, entry] of [...book.promised.entries]) {
      if (entry.untilMs > clock.now()) continue;
      const found = await state.get(tenant, AREA, waitingKey(entry.destination, delivery));
      if (found !== undefined && book.promised.entries.has(delivery)) book.waiting.set(delivery, entry);
      book.promised.delete(delivery);
    }
  };

  /** What entered as a dead letter at once may be too much. */
  const trim = async (tenant: TenantId): Promise<void> => {
    const book = books.of(tenant);
    const gone = book.tooMany(bounds);
    await state.write(
      tenant,
      gone.map((delivery) => change(deadKey(delivery), undefined)),
    );
    for (const delivery of gone) book.dead.delete(delivery);
    book.forgotten += gone.length;
  };

  const look = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await clock.sleep(LOOK_MS, stop.signal);
      const warn = (error: unknown) =>
        logger.warn({ err: error }, 'deliveries could not be looked for; trying again');
      for (const tenant of books.promising()) {
        kickPromised(tenant);
        await confirm(tenant).catch(warn);
      }
      for (const tenant of books.crowded(bounds)) await trim(tenant).catch(warn);
    }
  };

  const load = async (tenant: TenantId): Promise<void> => {
    const book = books.of(tenant);
    for (const { key, value } of await state.list<Waiting>(tenant, AREA, ['waiting'], ALL)) {
      const [destination, delivery] = [String(key[1]), String(key[2])];
      names.seen(delivery);
      book.waiting.set(delivery, { destination, bytes: bytesOf(value), enteredAtMs: value.enteredAtMs });
    }
    for (const { key, value } of await state.list<Dead>(tenant, AREA, ['dead'], ALL)) {
      names.seen(String(key[1]));
      book.dead.set(String(key[1]), {
        destination: '',
        bytes: bytesOf(value),
        enteredAtMs: value.enteredAtMs,
      });
    }
  };

  /** The change, and what it means for the book. */
  const enter = (
    tenant: TenantId,
    message: Sealed,
    more: Pick<Waiting, 'subscription'> = {},
    mistake?: string,
  ): { readonly isWaiting: boolean; readonly change: StateChange } => {
    const nowMs = clock.now();
    const delivery = names.next(nowMs);
    const destination = destinationOf(message);
    const waiting: Waiting = { message, enteredAtMs: nowMs, attempts: 0, nextAtMs: 0, ...more };
    const book = books.of(tenant);
    const bytes = bytesOf(waiting);
    if (mistake !== undefined || !book.hasRoom(bytes, bounds)) {
      const lastError =
        mistake ?? `not tried: ${bounds.waitingMax} messages or ${bounds.waitingBytesMax} bytes wait already`;
      book.dead.set(delivery, { destination, bytes, enteredAtMs: nowMs });
      return {
        isWaiting: false,
        change: change(deadKey(delivery), { ...waiting, lastError, diedAtMs: nowMs }),
      };
    }
    book.promised.set(delivery, { destination, bytes, enteredAtMs: nowMs, untilMs: nowMs + PROMISE_MS });
    return { isWaiting: true, change: change(waitingKey(destination, delivery), waiting) };
  };

  const deadOf = async (
    tenant: TenantId,
    deliveries: readonly string[] | undefined,
  ): Promise<readonly (StateEntry<Dead> & { readonly delivery: string })[]> => {
    if (deliveries === undefined) {
      const all = await state.list<Dead>(tenant, AREA, ['dead'], ALL);
      return all.map((entry) => ({ ...entry, delivery: String(entry.key[1]) }));
    }
    const found = await Promise.all(
      [...new Set(deliveries)].map(async (delivery) => {
        const value = await state.get<Dead>(tenant, AREA, deadKey(delivery));
        return value === undefined ? [] : [{ key: deadKey(delivery), value, delivery }];
      }),
    );
    return found.flat();
  };

  return {
    places,
    entering: (tenant: TenantId, message: Message) => {
      const { sealed, mistake } = seal(message, clock.now());
      return enter(tenant, sealed, {}, mistake).change;
    },
    entered: kickPromised,

    async list(tenant, which, limit = LIST_DEFAULT) {
      const most = Math.min(limit, LIST_MAX);
      const entries = await state.list<Waiting | Dead>(tenant, AREA, [which], ALL);
      const views = entries.map(({ key, value }) => viewOf(String(key.at(-1)), which, value));
      return inOrder(views, which).slice(0, most);
    },

    // One after the other: two that read the same dead letters would send them twice.
    replay: (tenant, deliveries) =>
      turn.run(async () => {
        let replayed = 0;
        for (const { delivery, value } of await deadOf(tenant, deliveries)) {
          const book = books.of(tenant);
          if (!book.hasRoom(bytesOf(value), bounds)) {
            if (replayed > 0) break;
            throw new MillraceError('too-busy', 'As many messages wait as may; replay when some are sent.', {
              retryAfterSeconds: 60,
            });
          }
          const { message, subscription } = value;
          const entry = enter(tenant, message, subscription === undefined ? {} : { subscription });
          await state.write(tenant, [change(deadKey(delivery), undefined), entry.change]);
          book.dead.delete(delivery);
          replayed += 1;
          kickPromised(tenant);
        }
        return replayed;
      }),

    figures: (tenant) => {
      const book = books.of(tenant);
      const { sent, failed, forgotten } = book;
      return {
        ...{ sent, failed, forgotten, oldestAtMs: book.oldestAtMs, dead: book.dead.entries.size },
        waiting: book.waiting.entries.size + book.promised.entries.size,
      };
    },

    burying: (tenant, dead) => burying(parts, tenant, names.next(clock.now()), dead),
    tried: (tenant, isSent) => {
      const book = books.of(tenant);
      if (isSent) book.sent += 1;
      else book.failed += 1;
    },

    async start() {
      for (const tenant of tenants.list()) await load(tenant);
      isStarted = true;
      for (const tenant of tenants.list()) {
        const destinations = [...books.of(tenant).waiting.entries.values()].map((one) => one.destination);
        for (const destination of new Set(destinations)) kick(tenant, destination);
        kickPromised(tenant);
      }
      looking = look();
    },

    async quiet(tenant) {
      ended.add(tenant);
      const ofTenant = [...(lanes.get(tenant)?.values() ?? [])];
      for (const lane of ofTenant) lane.stop.abort();
      await Promise.all(ofTenant.map((lane) => lane.done));
      lanes.delete(tenant);
    },
    forget: (tenant) => {
      books.forget(tenant);
      ended.delete(tenant);
    },

    async stop() {
      stop.abort();
      const all = [...lanes.values()].flatMap((some) => [...some.values()]);
      for (const lane of all) lane.stop.abort();
      await looking;
      await Promise.all(all.map((lane) => lane.done));
    },
  };
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

const inOrder = (views: readonly DeliveryView[], state: DeliveryState): readonly DeliveryView[] =>
  [...views].sort((a, b) => (a.delivery < b.delivery ? -1 : 1) * (state === 'dead' ? -1 : 1));
