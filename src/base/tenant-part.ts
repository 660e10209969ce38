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
 * What an implementor owes. The tenant is refused everywhere when it is called; first `quiet` of every part, then `erase`
 * of every part, each in their order. All of it is repeated after a crash: to end or to erase what is not there is no
 * error.
 */
export interface TenantPart {
  /** The stage: `log`, `store`, `ingest`. */
  readonly name: string;
  holdings(tenant: TenantId): Promise<readonly Holding[]>;
  /** Resolves when nothing that this stage does for the tenant is under way any more, nor will be. */
  quiet?(tenant: TenantId): Promise<void>;
  /**
   * When it resolves, no byte of the tenant is left here, not in a file that was renamed or is merely unused either, and
   * `holdings` names nothing.
   */
  erase(tenant: TenantId): Promise<void>;
}
