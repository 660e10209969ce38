/** The tables that one replay works with. */
import type { TenantId } from '../base/brand.ts';
import { discardedTable, eventsTable, quarantineTable, rollupTable, shadowOf } from '../store/index.ts';
import type { Rollups } from './checkpoint.ts';
import type { Copied } from './copy.ts';

export interface Places {
  readonly events: Copied;
  readonly quarantine: Copied;
  readonly discarded: Copied;
  /** The three, in this order. */
  readonly raw: readonly Copied[];
  /** In the order of the rollups. */
  readonly rollups: readonly Copied[];
}

export function placesOf(tenant: TenantId, stream: string, rollups: Rollups, run: string): Places {
  const of = (live: string): Copied => ({ live, shadow: shadowOf(live, run) });
  const events = of(eventsTable(tenant, stream));
  const quarantine = of(quarantineTable(tenant, stream));
  const discarded = of(discardedTable(tenant, stream));
  return {
    ...{ events, quarantine, discarded, raw: [events, quarantine, discarded] },
    rollups: rollups.map(({ definition, version }) => of(rollupTable(tenant, definition.name, version))),
  };
}
