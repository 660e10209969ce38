/**
 * Followers of streams. One loop per followed stream asks the store once a tick for what is new, whatever the
 * number of followers:
 *
 *     nobody ──first follower──▶ ticking ──last one leaves, or close()──▶ nobody
 *
 * A follower that does not keep up misses messages (their number is told to him); nothing is kept for him. A stream of
 * results is told whole: who does not keep up reads on by himself, at his own pace, until he is where the others are.
 */

import type { Offset, TenantId } from '../../base/brand.ts';
import type { Clock } from '../../base/clock.ts';
import { MillraceError } from '../../base/errors.ts';
import { forgottenTo } from '../../catalog/index.ts';
import type { Catalog } from '../../catalog/port.ts';
import type { Ingest } from '../../ingest/port.ts';
import type { Events, RowFilter } from '../../stats/port.ts';
import type { TenantDirectory } from '../../tenants/index.ts';
import { partitionKeys } from '../partition-keys.ts';
import type { StreamStates } from '../stream-states.ts';
import type { Follower } from './follower.ts';
import { type NewEvents, readNewEvents } from './new-events.ts';
import { formatPositions, furtherOf, isAhead, type Positions, rangesBetween, towards } from './positions.ts';

export interface HubLimits {
  readonly followersMax: number;
  readonly tickMs: number;
  readonly stateMs: number;
  readonly heartbeatMs: number;
  /** Events in one message. */
  readonly eventsMax: number;
  /** Events handed to a follower who comes back. */
  readonly resumedMax: number;
}

export const HUB_LIMITS: HubLimits = {
  followersMax: 256,
  tickMs: 100,
  stateMs: 1_000,
  heartbeatMs: 15_000,
  eventsMax: 100,
  resumedMax: 1_000,
};

export interface HubDeps {
  readonly tenants: Pick<TenantDirectory, 'state'>;
  readonly catalog: Catalog;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly events: Events;
  readonly states: StreamStates;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

interface Channel {
  readonly tenant: TenantId;
  readonly stream: string;
  /** Empty: its followers see every row. */
  readonly rowFilter: RowFilter;
  readonly followers: Set<Follower>;
  readonly stop: AbortController;
  positions: Positions;
}

export class LiveHub {
  readonly #deps: HubDeps;
  readonly #limits: HubLimits;
  readonly #channels = new Map<string, Channel>();
  #count = 0;

  constructor(deps: HubDeps, limits: HubLimits = HUB_LIMITS) {
    this.#deps = deps;
    this.#limits = limits;
  }

  get followers(): number {
    return this.#count;
  }

  /** Fails with `too-busy` before anything is written, when there are followers enough. */
  admit(): void {
    if (this.#count < this.#limits.followersMax) return;
    throw new MillraceError(
      'too-busy',
      `At most ${this.#limits.followersMax} can follow at a time; try later.`,
      {
        retryAfterSeconds: 5,
      },
    );
  }

  /**
   * Sends the follower what he missed since `resumeFrom` (absent: nothing), then what comes. He is dropped
   * when his connection closes. With a filter he gets only the events that pass it, and nothing about the stream as a whole.
   */
  async follow(
    tenant: TenantId,
    stream: string,
    follower: Follower,
    resumeFrom: Positions | undefined,
    rowFilter: RowFilter = [],
  ): Promise<void> {
    this.#count += 1;
    follower.onClose(() => {
      this.#count -= 1;
      this.#leave(tenant, stream, rowFilter, follower);
    });
    const { reached, isForgotten } = await this.#resumed(tenant, stream, resumeFrom);
    const id = formatPositions(reached);
    if (rowFilter.length === 0) await this.#sendState(tenant, stream, [follower], id);
    else follower.send('events', NO_EVENTS, id);
    await this.#catchUp({ tenant, stream, rowFilter }, follower, reached, isForgotten);
  }

  /** Reads what came since he stood there, then joins the others. */
  async #catchUp(
    { tenant, stream, rowFilter }: Pick<Channel, 'tenant' | 'stream' | 'rowFilter'>,
    follower: Follower,
    from: Positions,
    isForgotten = false,
  ): Promise<void> {
    // Join only at the channel's own position, or the follower would miss what came meanwhile.
    let isToTell = isForgotten;
    for (let reached = from; ; ) {
      const isWhole = this.#isWhole(tenant, stream);
      if (isWhole) await follower.drained();
      const channel = this.#channel(tenant, stream, rowFilter);
      const isThere = rangesBetween(reached, channel.positions).length === 0;
      // The others are about to be sent what was visible already when he came.
      if (isThere && !follower.closed && isAhead(reached, channel.positions)) {
        await this.#deps.clock.sleep(this.#limits.tickMs);
        continue;
      }
      if (follower.closed || isThere) {
        if (!follower.closed) channel.followers.add(follower);
        if (channel.followers.size === 0) this.#end(channel);
        return;
      }
      const next = isWhole ? towards(reached, channel.positions, this.#limits.resumedMax) : channel.positions;
      const to = furtherOf(reached, next);
      const ranges = rangesBetween(reached, to);
      reached = to;
      const limit = this.#limits.resumedMax * (isWhole ? ranges.length : 1);
      const missed = await readNewEvents(this.#deps.events, tenant, stream, ranges, limit, rowFilter);
      if (follower.closed) return;
      if (missed.count + missed.dropped > 0 || isToTell)
        follower.send('events', messageOf(missed, 0, isToTell), formatPositions(reached));
      isToTell = false;
    }
  }

  /** Where he goes on, and whether events that he has not seen are no longer there. */
  async #resumed(
    tenant: TenantId,
    stream: string,
    resumeFrom: Positions | undefined,
  ): Promise<{ readonly reached: Positions; readonly isForgotten: boolean }> {
    const applied = this.#applied(tenant, stream);
    if (resumeFrom === undefined) return { reached: applied, isForgotten: false };
    // The id is of an earlier stream of the name: all that the new one holds is new to him.
    if (isAhead(resumeFrom, applied)) {
      const beginning = [...applied.keys()].map((partition) => [partition, 0 as Offset] as const);
      return { reached: new Map(beginning), isForgotten: true };
    }
    const forgotten = await forgottenTo(this.#deps.catalog, tenant, stream);
    const isForgotten = forgotten.some((to, partition) => to > (resumeFrom.get(partition) ?? 0));
    return { reached: resumeFrom, isForgotten };
  }

  /** Ends every connection. */
  close(): void {
    for (const channel of [...this.#channels.values()]) {
      for (const follower of [...channel.followers]) follower.end();
      this.#end(channel);
    }
  }

  #channel(tenant: TenantId, stream: string, rowFilter: RowFilter): Channel {
    const name = nameOf({ tenant, stream, rowFilter });
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = {
        tenant,
        stream,
        rowFilter,
        followers: new Set(),
        stop: new AbortController(),
        positions: this.#applied(tenant, stream),
      };
      this.#channels.set(name, channel);
      void this.#run(channel);
    }
    return channel;
  }

  #leave(tenant: TenantId, stream: string, rowFilter: RowFilter, follower: Follower): void {
    const channel = this.#channels.get(nameOf({ tenant, stream, rowFilter }));
    if (channel === undefined) return;
    channel.followers.delete(follower);
    if (channel.followers.size === 0) this.#end(channel);
  }

  #end(channel: Channel): void {
    channel.stop.abort();
    const name = nameOf(channel);
    if (this.#channels.get(name) === channel) this.#channels.delete(name);
  }

  async #run(channel: Channel): Promise<void> {
    const { clock } = this.#deps;
    const { tickMs, stateMs, heartbeatMs } = this.#limits;
    let stateAt = clock.monotonicMs() + stateMs;
    let heartbeatAt = clock.monotonicMs() + heartbeatMs;
    while (!channel.stop.signal.aborted) {
      await clock.sleep(tickMs, channel.stop.signal);
      if (channel.stop.signal.aborted) return;
      try {
        const now = clock.monotonicMs();
        if (!this.#isToBeFollowed(channel)) {
          for (const follower of [...channel.followers]) follower.end();
          return this.#end(channel);
        }
        await this.#sendNew(channel);
        if (now >= stateAt) {
          stateAt = now + stateMs;
          if (channel.rowFilter.length === 0)
            await this.#sendState(channel.tenant, channel.stream, [...channel.followers]);
        }
        if (now >= heartbeatAt) {
          heartbeatAt = now + heartbeatMs;
          for (const follower of channel.followers) follower.comment('still here');
        }
      } catch (error) {
        // The store may be away for a while; the position stands, so nothing is missed.
        this.#deps.onFailure(error);
        await clock.sleep(stateMs, channel.stop.signal);
      }
    }
  }

  /** Followers of a tenant that is suspended or deleted are let go. */
  #isToBeFollowed({ tenant, stream }: Channel): boolean {
    const { catalog, tenants } = this.#deps;
    return tenants.state(tenant) === 'active' && catalog.stream(tenant, stream) !== undefined;
  }

  async #sendNew(channel: Channel): Promise<void> {
    const { tenant, stream, positions } = channel;
    const isWhole = this.#isWhole(tenant, stream);
    const all = this.#applied(tenant, stream);
    const applied = isWhole ? towards(positions, all, this.#limits.eventsMax) : all;
    const ranges = rangesBetween(positions, applied);
    if (ranges.length === 0) return;
    const members = [...channel.followers];
    const fresh = await readNewEvents(
      this.#deps.events,
      tenant,
      stream,
      ranges,
      // Shared out among partitions; whoever is told everything gets each one's whole range.
      isWhole ? this.#limits.eventsMax * ranges.length : this.#limits.eventsMax,
      channel.rowFilter,
    );
    const id = formatPositions(applied);
    channel.positions = applied;
    if (fresh.count + fresh.dropped === 0) return;
    const message = messageOf(fresh, 0);
    for (const follower of members) {
      if (follower.behind && isWhole) {
        channel.followers.delete(follower);
        this.#catchUp(channel, follower, positions).catch((error: unknown) => {
          this.#deps.onFailure(error);
          // He comes back with the id of what he got last.
          follower.end();
        });
      } else if (follower.behind) follower.missed(fresh.count + fresh.dropped);
      else {
        const missed = follower.takeMissed();
        follower.send('events', missed === 0 ? message : messageOf(fresh, missed), id);
      }
    }
    // Whoever joined while the store was asked stood at the old position.
    for (const follower of channel.followers) {
      if (!members.includes(follower)) follower.send('events', message, id);
    }
  }

  async #sendState(
    tenant: TenantId,
    stream: string,
    followers: readonly Follower[],
    id?: string,
  ): Promise<void> {
    const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
    if (definition === undefined) return;
    const state = JSON.stringify(await this.#deps.states.state(tenant, definition));
    for (const follower of followers) if (!follower.behind) follower.send('state', state, id);
  }

  #isWhole(tenant: TenantId, stream: string): boolean {
    return this.#deps.catalog.stream(tenant, stream)?.definition.resultOf !== undefined;
  }

  #applied(tenant: TenantId, stream: string): Positions {
    const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
    if (definition === undefined) return new Map();
    return new Map(
      partitionKeys(tenant, definition).map((key) => [
        key.partition,
        this.#deps.ingest.state(key).applied as Offset,
      ]),
    );
  }
}

const messageOf = (events: NewEvents, missed: number, isForgotten = false): string =>
  `{"events":${events.eventsJson},"dropped":${events.dropped + missed}${isForgotten ? ',"forgotten":true' : ''}}`;

const NO_EVENTS = messageOf({ eventsJson: '[]', count: 0, dropped: 0 }, 0);

const nameOf = ({ tenant, stream, rowFilter }: Pick<Channel, 'tenant' | 'stream' | 'rowFilter'>): string =>
  JSON.stringify([tenant, stream, rowFilter]);
