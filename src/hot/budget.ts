/** Who gives memory up when all together hold too much. Pure: facts in, decision out. */

export interface Holder<Tenant extends string = string> {
  readonly tenant: Tenant;
  readonly bytes: number;
}

/**
 * The largest holder of the tenant that holds most. A tenant within an equal share never gives anything up: together
 * over the bound, somebody is over his share.
 *
 * @example
 * whoGivesUp([{ tenant: 'a', bytes: 10 }, { tenant: 'a', bytes: 60 }, { tenant: 'b', bytes: 50 }], 100); // the second
 */
export function whoGivesUp<One extends Holder>(holders: Iterable<One>, bytesMax: number): One | undefined {
  const tenants = new Map<string, { bytes: number; largest: One }>();
  let total = 0;
  for (const one of holders) {
    total += one.bytes;
    const of = tenants.get(one.tenant);
    if (!of) tenants.set(one.tenant, { bytes: one.bytes, largest: one });
    else {
      of.bytes += one.bytes;
      if (one.bytes > of.largest.bytes) of.largest = one;
    }
  }
  if (total <= bytesMax) return undefined;
  let most: { bytes: number; largest: One } | undefined;
  for (const of of tenants.values()) if (!most || of.bytes > most.bytes) most = of;
  return most?.largest;
}
