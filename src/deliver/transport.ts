/** How a message leaves: one try. */
import type { TenantId } from '../base/brand.ts';
import type { Outcome } from './outcome.ts';
import type { Sealed } from './records.ts';

/** Owes an outcome within a bounded time; what it throws counts as one that may succeed later. */
export type Send<M = Sealed> = (tenant: TenantId, message: M, signal: AbortSignal) => Promise<Outcome>;

/** One try, whatever happens in it. */
export async function attempt<M>(
  send: Send<M>,
  ...[tenant, message, signal]: Parameters<Send<M>>
): Promise<Outcome> {
  try {
    return await send(tenant, message, signal);
  } catch (error) {
    return { kind: 'again', reason: error instanceof Error ? error.message : String(error) };
  }
}
