import type { StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Ingest } from '../ingest/port.ts';

/**
 * Looks while no batch of the stream is under way and nothing is moved between its tables. Undefined when its turn does
 * not come within `waitMs`: something long has the stream, and who asks is not to wait for it.
 */
export async function betweenBatches<T>(
  { ingest, clock }: { readonly ingest: Pick<Ingest, 'exclusively'>; readonly clock: Clock },
  tenant: TenantId,
  stream: StreamName,
  waitMs: number,
  look: () => Promise<T>,
): Promise<T | undefined> {
  const turn = new AbortController();
  let begun = false;
  let left = false;
  const looked = ingest.exclusively(tenant, stream, async () => {
    if (left) return undefined;
    begun = true;
    turn.abort();
    return look();
  });
  looked.catch(() => turn.abort());
  await clock.sleep(waitMs, turn.signal);
  if (!begun && !turn.signal.aborted) {
    left = true;
    return undefined;
  }
  return looked;
}
