/** Tenants, for whoever has the key of the installation; a tenant's admin reads his own. */
import { conditionOf, versionOf } from './definitions.ts';
import { parseJson } from './json.ts';
import { pathOf } from './query.ts';
import type { Transport } from './transport.ts';
import type { RunInfo } from './types.ts';

export interface TenantDocument {
  readonly displayName?: string | undefined;
  /** By name (`eventsPerSecond`, `streams`, …); null: none, whatever the installation says. */
  readonly limits?: Readonly<Record<string, number | null>> | undefined;
  /** Its share when tenants compete; 1 when it is not said. */
  readonly weight?: number | undefined;
  readonly state?: 'active' | 'suspended' | undefined;
}

export interface TenantInfo {
  readonly name: string;
  readonly version: number;
  readonly state: 'active' | 'suspended' | 'deleting';
  readonly created_at: string;
  readonly updated_at: string;
  readonly document: TenantDocument;
  /** What holds: its own limits, else those of the installation. */
  readonly limits: Readonly<Record<string, number>>;
  readonly usage: {
    readonly streams: number;
    readonly rollups: number;
    readonly stored_bytes: number;
    readonly log_bytes: number;
  };
  /** The run that deletes it. */
  readonly deletion: string | null;
}

export interface TenantHolding {
  readonly part: string;
  readonly what: string;
  readonly bytes: number | null;
}

export interface TenantDeletionForecast {
  readonly tenant: string;
  readonly dry_run: true;
  readonly bytes: number;
  readonly holdings: readonly TenantHolding[];
}

/**
 * @example
 * await client.tenants.put('acme', { displayName: 'Acme', limits: { streams: 20 } });
 * (await client.tenants.get('acme')).usage.streams; // 0
 */
export class TenantsClient {
  readonly #transport: Transport;

  /** Use `client.tenants`. */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<readonly TenantInfo[]> {
    const answer = await this.#transport.get(pathOf('tenants'));
    return (answer as { readonly tenants: readonly TenantInfo[] }).tenants;
  }

  async get(name: string): Promise<TenantInfo> {
    const path = pathOf('tenants', name);
    return (await this.#transport.get(path)) as TenantInfo;
  }

  /** Makes or changes a tenant. `ifVersion`: only if this version stands; 0: only if there is none. */
  async put(
    name: string,
    document: TenantDocument,
    { ifVersion }: { readonly ifVersion?: number | undefined } = {},
  ): Promise<TenantInfo> {
    const answer = await this.#transport.send({
      method: 'PUT',
      path: pathOf('tenants', name),
      body: JSON.stringify(document),
      headers: { 'content-type': 'application/json', ...conditionOf(ifVersion) },
      repeatable: ifVersion === undefined ? 'safe' : 'refused',
    });
    const tenant = parseJson(answer.text) as TenantInfo;
    return { ...tenant, version: versionOf(answer.headers) ?? tenant.version };
  }

  /** Everything that `delete` would erase. Changes nothing. */
  async forecastDeletion(name: string): Promise<TenantDeletionForecast> {
    const path = `${pathOf('tenants', name)}?dry_run=true`;
    return (await this.#transport.json({
      method: 'DELETE',
      path,
      repeatable: 'safe',
    })) as TenantDeletionForecast;
  }

  /** Erases the tenant with everything that is its own: for good. Resolves with the run, which may still go on. */
  async delete(name: string): Promise<RunInfo> {
    const path = pathOf('tenants', name);
    return (await this.#transport.json({ method: 'DELETE', path, repeatable: 'refused' })) as RunInfo;
  }
}
