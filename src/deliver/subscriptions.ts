/** Every tenant's webhook subscriptions, in memory as they are kept, each followed by work of its own. */
import type { StreamName, TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { Mutex } from '../base/mutex.ts';
import type { Catalog } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import { type Followed, type FollowParts, follow } from './follow.ts';
import { AREA, change, type SubscriptionName } from './records.ts';
import {
  behindBy,
  type Position,
  positionKey,
  type Subscription,
  type SubscriptionView,
  subscriptionKey,
} from './subscription.ts';
import { parseSubscription } from './subscription-document.ts';

export interface SubscriptionsParts extends FollowParts {
  readonly catalog: Pick<Catalog, 'stream' | 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly tenants: Pick<TenantDirectory, 'state' | 'list' | 'limits'>;
  readonly allowsPrivate: boolean;
}

export interface Subscriptions {
  /** Those of a stream, or of all. */
  list(tenant: TenantId, stream?: string): readonly SubscriptionView[];
  get(tenant: TenantId, stream: string, name: string): SubscriptionView | undefined;
  /**
   * Makes or changes one; it goes on, at once, where it was. Fails with `unknown-stream`, `bad-definition`, `limit-exceeded`,
   * `precondition-failed`.
   */
  put(
    tenant: TenantId,
    stream: string,
    name: string,
    document: unknown,
    ifVersion?: number,
  ): Promise<{ readonly view: SubscriptionView; readonly isNew: boolean }>;
  /** Nothing more is sent when it resolves. Fails with `not-found`, `precondition-failed`. */
  remove(tenant: TenantId, stream: string, name: string, ifVersion?: number): Promise<void>;
}

export interface RunningSubscriptions extends Subscriptions {
  start(): Promise<void>;
  quiet(tenant: TenantId): Promise<void>;
  forget(tenant: TenantId): void;
  stop(): Promise<void>;
}

/** Of a tenant that has no limit of its own. */
export const WEBHOOKS_MAX = 100;
const ALL = 100_000;

interface Held extends SubscriptionName {
  subscription: Subscription;
  position: Position;
  work: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
}

export function createSubscriptions(parts: SubscriptionsParts): RunningSubscriptions {
  const { catalog, ingest, clock, tenants } = parts;
  const held = new Map<TenantId, Map<string, Held>>();
  const ended = new Set<TenantId>();
  const turn = new Mutex();
  let isStopped = false;

  const keyOf = (stream: string, name: string): string => JSON.stringify([stream, name]);
  const ofTenant = (tenant: TenantId): Map<string, Held> => {
    const known = held.get(tenant) ?? new Map<string, Held>();
    held.set(tenant, known);
    return known;
  };
  const find = (tenant: TenantId, stream: string, name: string): Held | undefined =>
    held.get(tenant)?.get(keyOf(stream, name));
  const appliedOf = (tenant: TenantId, stream: string): readonly number[] | undefined => {
    const definition = catalog.stream(tenant, stream)?.definition;
    if (definition === undefined) return undefined;
    return Array.from(
      { length: definition.partitions },
      (_, partition) => ingest.state({ tenant, stream: stream as StreamName, partition }).applied,
    );
  };

  const save = async (tenant: TenantId, one: Held, subscription: Subscription, position?: Position) => {
    await catalog.state.write(tenant, [
      change(subscriptionKey(one), subscription),
      ...(position === undefined ? [] : [change(positionKey(one), position)]),
    ]);
    one.subscription = subscription;
    if (position !== undefined) one.position = position;
  };
  const erase = async (tenant: TenantId, one: Held): Promise<void> => {
    if (find(tenant, one.stream, one.name) !== one) return;
    await catalog.state.write(tenant, [
      change(subscriptionKey(one), undefined),
      change(positionKey(one), undefined),
    ]);
    held.get(tenant)?.delete(keyOf(one.stream, one.name));
  };

  const begin = (tenant: TenantId, one: Held): void => {
    if (isStopped || ended.has(tenant) || one.subscription.state !== 'active') return;
    const stop = new AbortController();
    const followed: Followed = {
      ...{ tenant, stream: one.stream, name: one.name, subscription: one.subscription },
      applied: () => appliedOf(tenant, one.stream),
      position: () => one.position,
      moved: (position) => {
        one.position = position;
      },
      switchOff: (reason) =>
        save(tenant, one, { ...one.subscription, state: 'off', reason, updatedAtMs: clock.now() }),
    };
    const run = async (): Promise<void> => {
      await follow(parts, followed, stop.signal);
      // Its stream was removed: a new one of the name is another one.
      if (stop.signal.aborted || appliedOf(tenant, one.stream) !== undefined) return;
      // Not waited for: who has the turn may be waiting for this work.
      void turn.run(() => erase(tenant, one)).catch(() => undefined);
    };
    one.work = { stop, done: run() };
  };
  const end = async (one: Held): Promise<void> => {
    one.work?.stop.abort();
    await one.work?.done;
    one.work = undefined;
  };

  const viewOf = (tenant: TenantId, { stream, name, subscription, position }: Held): SubscriptionView => ({
    ...{ stream, name, ...subscription, behind: behindBy(position, appliedOf(tenant, stream) ?? []) },
    ...(position.failing === undefined ? {} : { failing: position.failing }),
  });
  const streamOf = (tenant: TenantId, stream: string): StreamDefinition => {
    const definition = catalog.stream(tenant, stream)?.definition;
    if (definition !== undefined) return definition;
    throw new MillraceError('unknown-stream', `There is no stream ${JSON.stringify(stream)}.`);
  };
  const refuseOtherVersion = (one: Held | undefined, ifVersion: number | undefined): void => {
    const standing = one?.subscription.version ?? 0;
    if (ifVersion === undefined || ifVersion === standing) return;
    throw new MillraceError(
      'precondition-failed',
      `The webhook is at version ${standing}, not ${ifVersion}.`,
    );
  };

  return {
    list: (tenant, stream) =>
      [...(held.get(tenant)?.values() ?? [])]
        .filter((one) => stream === undefined || one.stream === stream)
        .map((one) => viewOf(tenant, one))
        .sort((a, b) => (keyOf(a.stream, a.name) < keyOf(b.stream, b.name) ? -1 : 1)),
    get: (tenant, stream, name) => {
      const one = find(tenant, stream, name);
      return one === undefined ? undefined : viewOf(tenant, one);
    },

    put: (tenant, stream, name, document, ifVersion) =>
      turn.run(async () => {
        const definition = streamOf(tenant, stream);
        const nowMs = clock.now();
        const parsed = parseSubscription(name, document, { stream: definition, nowMs, ...parts });
        const known = find(tenant, stream, name);
        refuseOtherVersion(known, ifVersion);
        const most = tenants.limits(tenant).webhooks ?? WEBHOOKS_MAX;
        if (known === undefined && ofTenant(tenant).size >= most) {
          throw new MillraceError('limit-exceeded', `The tenant may have ${most} webhooks, and has them.`);
        }
        const { url, filter, from, paused } = parsed;
        const subscription: Subscription = {
          ...{ url, filter, state: paused ? 'paused' : 'active', updatedAtMs: nowMs },
          version: (known?.subscription.version ?? 0) + 1,
          createdAtMs: known?.subscription.createdAtMs ?? nowMs,
        };
        const applied = appliedOf(tenant, stream)!;
        const position: Position = { offsets: from === 'start' ? applied.map(() => 0) : [...applied] };
        const one: Held = known ?? { stream, name, subscription, position, work: undefined };
        await end(one);
        // Whoever puts it again wants it tried now.
        await save(tenant, one, subscription, { offsets: one.position.offsets });
        ofTenant(tenant).set(keyOf(stream, name), one);
        begin(tenant, one);
        return { view: viewOf(tenant, one), isNew: known === undefined };
      }),

    remove: (tenant, stream, name, ifVersion) =>
      turn.run(async () => {
        const one = find(tenant, stream, name);
        if (one === undefined) throw noWebhook(stream, name);
        refuseOtherVersion(one, ifVersion);
        await end(one);
        await erase(tenant, one);
      }),

    async start() {
      for (const tenant of tenants.list()) {
        const found = await catalog.state.list<Subscription>(tenant, AREA, ['subscription'], ALL);
        for (const { key, value: subscription } of found) {
          const [stream, name] = [String(key[1]), String(key[2])];
          const position = (await catalog.state.get<Position>(
            ...([tenant, AREA, positionKey({ stream, name })] as const),
          )) ?? { offsets: [] };
          const one: Held = { stream, name, subscription, position, work: undefined };
          ofTenant(tenant).set(keyOf(stream, name), one);
          begin(tenant, one);
        }
      }
    },
    async quiet(tenant) {
      ended.add(tenant);
      await turn.run(async () => {
        await Promise.all([...(held.get(tenant)?.values() ?? [])].map(end));
      });
    },
    forget: (tenant) => {
      held.delete(tenant);
      ended.delete(tenant);
    },
    async stop() {
      isStopped = true;
      await Promise.all([...held.values()].flatMap((some) => [...some.values()].map(end)));
    },
  };
}

export const noWebhook = (stream: string, name: string): MillraceError =>
  new MillraceError(
    'not-found',
    `There is no webhook ${JSON.stringify(name)} of the stream ${JSON.stringify(stream)}.`,
  );
