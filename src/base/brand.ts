declare const brand: unique symbol;

/** A type that must not be mixed up with its representation: `Brand<string, 'TenantId'>`. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Name of a tenant: `[a-z][a-z0-9_]{0,62}`. Part of every key, path and table name. */
export type TenantId = Brand<string, 'TenantId'>;

/** Name of a stream inside its tenant: `[a-z][a-z0-9_]{0,62}`. */
export type StreamName = Brand<string, 'StreamName'>;

/** Position of a record in its log partition; counts records from 0, exact below 2^53. */
export type Offset = Brand<number, 'Offset'>;

export const DEFAULT_TENANT = 'default' as TenantId;

/** One log partition. Keys made of parts are tuples, never strings joined by a separator. */
export interface PartitionKey {
  readonly tenant: TenantId;
  readonly stream: StreamName;
  readonly partition: number;
}
