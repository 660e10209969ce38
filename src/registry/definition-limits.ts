/** How many streams, fields and rollups a tenant may have. What stands already stays, whatever the limit is now. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { TenantDirectory, TenantLimits } from '../tenants/port.ts';

type Kind = 'stream' | 'rollup';
type Making = Readonly<Record<Kind, Map<string, number>>>;

export interface Standing {
  /** Names of what is there or being built. */
  names(tenant: TenantId, kind: Kind): Iterable<string>;
  /** Fields that the stream has now; 0 when there is none. */
  fields(tenant: TenantId, stream: string): number;
}

/**
 * Holds a name while it is being made, so that many that are made at a time are counted, too.
 */
export class DefinitionLimits {
  readonly #tenants: Pick<TenantDirectory, 'limits'> | undefined;
  readonly #standing: Standing;
  /** Names that are being made, each with how often. */
  readonly #making = new Map<TenantId, Making>();

  constructor(tenants: Pick<TenantDirectory, 'limits'> | undefined, standing: Standing) {
    this.#tenants = tenants;
    this.#standing = standing;
  }

  /** Fails with `limit-exceeded`, else does the work. */
  async within<T>(
    tenant: TenantId,
    kind: Kind,
    name: string,
    document: unknown,
    work: () => Promise<T>,
  ): Promise<T> {
    const limits = this.#tenants?.limits(tenant);
    if (limits === undefined) return work();
    const most = kind === 'stream' ? limits.streams : limits.rollups;
    if (kind === 'stream') this.#refuseFields(tenant, name, document, limits);
    const all = this.#making.get(tenant) ?? { stream: new Map(), rollup: new Map() };
    const making = all[kind];
    if (most !== undefined) {
      const names = new Set([...this.#standing.names(tenant, kind), ...making.keys()]);
      if (!names.has(name) && names.size >= most) {
        throw exceeded(
          tenant,
          `${kind}s`,
          most,
          `The tenant may have ${most} ${kind}s and has ${names.size}`,
        );
      }
    }
    this.#making.set(tenant, all);
    making.set(name, (making.get(name) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = making.get(name)! - 1;
      if (left > 0) making.set(name, left);
      else making.delete(name);
      if (all.stream.size + all.rollup.size === 0) this.#making.delete(tenant);
    }
  }

  #refuseFields(tenant: TenantId, name: string, document: unknown, { fields: most }: TenantLimits): void {
    const wanted = fieldsIn(document);
    // A stream that has more already may be changed as long as it does not grow.
    if (most === undefined || wanted <= most || wanted <= this.#standing.fields(tenant, name)) return;
    throw exceeded(
      tenant,
      'fields',
      most,
      `A stream of the tenant may have ${most} fields, and "${name}" would have ${wanted}`,
    );
  }
}

function fieldsIn(document: unknown): number {
  const fields = (document as { readonly fields?: unknown } | null | undefined)?.fields;
  return typeof fields === 'object' && fields !== null ? Object.keys(fields).length : 0;
}

const exceeded = (tenant: TenantId, limit: string, value: number, what: string) =>
  new MillraceError(
    'limit-exceeded',
    `${what}; remove what is not needed, or ask the operator of the installation to raise the limit "${limit}" (${value}) of the tenant "${tenant}".`,
  );
