/**
 * What every stage that keeps something of tenants owes, so that one can be listed and erased whole without anybody
 * knowing where all of it lies.
 */
import type { TenantId } from './brand.ts';

export interface Holding {
  /** What it is, for people: `log of stream "clicks"`. */
  readonly what: string;
  /** On disk or in memory; undefined when it cannot be told. */
  readonly bytes: number | undefined;
}

/**
 * What an implementor owes: `erase` is called after the tenant's streams have ended and nothing of it is written any
 * more; when it resolves, no byte of the tenant is left here, not in a file that was renamed or is merely unused
 * either. To erase what is not there is no error: it is repeated after a crash.
 */
export interface TenantPart {
  /** The stage: `log`, `store`, `ingest`. */
  readonly name: string;
  holdings(tenant: TenantId): Promise<readonly Holding[]>;
  erase(tenant: TenantId): Promise<void>;
}
