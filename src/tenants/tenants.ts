/**
 * The tenants of the installation. All that is asked of them at every event and question stands in memory; a change is
 * durable before it is seen.
 *
 *   (nothing) ─put─▶ active ◀─put─▶ suspended
 *                       └──beginDeletion──┴─▶ deleting ─erased (deletion.ts)─▶ (nothing)
 */
import { DEFAULT_TENANT, type TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { TenantRecord, TenantRecords } from '../catalog/index.ts';
import { limitsOf, parseTenant, type TenantDocument } from './document.ts';
import type { TenantDirectory, TenantLimits } from './port.ts';

export interface Tenant
  extends Pick<TenantRecord, 'name' | 'version' | 'state' | 'createdAtMs' | 'updatedAtMs'> {
  readonly document: TenantDocument;
  /** While it is being deleted: what it is called by those who may no longer know its name. */
  readonly alias: string | undefined;
}

export interface Tenants extends TenantDirectory {
  /** Those that are being deleted too, by name. */
  all(): readonly Tenant[];
  get(name: string): Tenant | undefined;
  /**
   * Makes or changes a tenant. Fails with `bad-definition` (every mistake at once), `precondition-failed`, or
   * `conflict` while a tenant of the name is being deleted.
   */
  put(
    name: string,
    document: unknown,
    options?: { readonly ifVersion?: number | undefined },
  ): Promise<{ readonly tenant: Tenant; readonly created: boolean }>;
  /** Durable: from then on it is nobody's. Repeated, it says the same. Fails with `unknown-tenant`, `conflict`, `precondition-failed`. */
  beginDeletion(
    name: string,
    alias: string,
    options?: { readonly ifVersion?: number | undefined },
  ): Promise<Tenant>;
  /** Its rows are gone: it is not known any more. */
  forget(name: TenantId): void;
}

export interface TenantsOptions {
  readonly records: Pick<TenantRecords, 'list' | 'get' | 'put'>;
  /** Limits of whoever has none of his own. */
  readonly defaults?: TenantLimits;
}

interface Known {
  readonly tenant: Tenant;
  readonly limits: TenantLimits;
}

/**
 * Reads the tenants into memory.
 *
 * @example
 * const tenants = await createTenants({ records: catalog.tenants });
 * await tenants.put('acme', { limits: { streams: 20 } });
 * tenants.limits('acme' as TenantId); // { streams: 20 }
 */
export async function createTenants({ records, defaults = {} }: TenantsOptions): Promise<Tenants> {
  const known = new Map<string, Known>();
  /** Changes go one after the other. */
  let turn: Promise<unknown> = Promise.resolve();
  let living: readonly TenantId[] = [];

  const remember = (record: TenantRecord): Tenant => {
    const tenant = tenantOf(record);
    // The operator's own tenant has none unless they are said of it.
    const otherwise = record.name === DEFAULT_TENANT ? {} : defaults;
    known.set(record.name, { tenant, limits: limitsOf(otherwise, tenant.document.limits) });
    relist();
    return tenant;
  };
  const relist = (): void => {
    const names = [...known.values()].filter(({ tenant }) => tenant.state !== 'deleting');
    living = names.map(({ tenant }) => tenant.name).sort();
  };
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };

  for (const record of await records.list()) remember(record);
  if (!known.has(DEFAULT_TENANT)) {
    remember(await records.put(DEFAULT_TENANT, { state: 'active', document: {} }));
  }

  return {
    list: () => living,
    state: (name) => known.get(name)?.tenant.state,
    limits: (name) => known.get(name)?.limits ?? {},
    weight: (name) => known.get(name)?.tenant.document.weight ?? 1,
    all: () => [...known.values()].map(({ tenant }) => tenant).sort((a, b) => (a.name < b.name ? -1 : 1)),
    get: (name) => known.get(name)?.tenant,

    put: (name, given, { ifVersion } = {}) => {
      const { state, ...document } = parseTenant(name, given);
      return inTurn(async () => {
        const standing = known.get(name)?.tenant;
        if (standing?.state === 'deleting') throw isGoing(name);
        const record = await records.put(name as TenantId, { state, document }, ifVersion);
        return { tenant: remember(record), created: standing === undefined };
      });
    },

    beginDeletion: (name, alias, { ifVersion } = {}) =>
      inTurn(async () => {
        const standing = known.get(name)?.tenant;
        if (standing === undefined) throw noTenant(name);
        if (standing.state === 'deleting') return standing;
        if (name === DEFAULT_TENANT) {
          throw new MillraceError('conflict', 'the tenant of the installation itself cannot be deleted');
        }
        const { state: _, ...document } = standing.document;
        const change = { state: 'deleting', document: { ...document, [ALIAS]: alias } } as const;
        return remember(await records.put(standing.name, change, ifVersion));
      }),

    forget: (name) => {
      known.delete(name);
      relist();
    },
  };
}

/** Beside the operator's own words in the document of a tenant that is going. */
const ALIAS = '_alias';

function tenantOf({ name, version, state, document, createdAtMs, updatedAtMs }: TenantRecord): Tenant {
  const { [ALIAS]: alias, ...own } = document;
  const parsed = parseTenant(name, { ...own, state: state === 'suspended' ? 'suspended' : 'active' });
  return Object.freeze({
    ...{ name, version, state, document: parsed, createdAtMs, updatedAtMs },
    alias: typeof alias === 'string' ? alias : undefined,
  });
}

export const noTenant = (name: string): MillraceError =>
  new MillraceError(
    'unknown-tenant',
    `There is no tenant ${JSON.stringify(name)}. GET /v1/tenants lists them.`,
  );

const isGoing = (name: string): MillraceError =>
  new MillraceError(
    'conflict',
    `the tenant "${name}" is being deleted; once that has ended the name may be used again`,
  );
