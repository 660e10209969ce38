import type { TenantInfo } from '../api/access.ts';
import { formatBytes, formatCount } from '../model/format.ts';
import { limitText } from '../model/limits.ts';

interface TenantsPanelProps {
  readonly tenants: readonly TenantInfo[];
  /** For whom the page speaks. */
  readonly chosen: string;
  readonly onChoose: (tenant: string) => void;
}

/** What each tenant takes and may take. An admin key sees its own alone. */
export function TenantsPanel({ tenants, chosen, onChoose }: TenantsPanelProps) {
  const several = tenants.length > 1;
  return (
    <section class="card" aria-labelledby="tenants-title">
      <div class="panel-head">
        <h2 id="tenants-title">{several ? 'Tenants' : 'Tenant'}</h2>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard. */}
      <section class="scroller" aria-label="Table of tenants" tabIndex={0}>
        <table class="tenants">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">State</th>
              {['Streams', 'Rollups', 'Stored', 'Log'].map((name) => (
                <th key={name} scope="col" class="number">
                  {name}
                </th>
              ))}
              <th scope="col">Limits</th>
            </tr>
          </thead>
          <tbody>
            {tenants.map((tenant) => (
              <tr
                key={tenant.name}
                data-tenant={tenant.name}
                class={several && tenant.name === chosen ? 'chosen' : ''}
              >
                <th scope="row">
                  {several && tenant.state !== 'deleting' ? (
                    <button
                      type="button"
                      class="plain"
                      aria-pressed={tenant.name === chosen}
                      onClick={() => onChoose(tenant.name)}
                    >
                      {tenant.name}
                    </button>
                  ) : (
                    tenant.name
                  )}
                </th>
                <td class={tenant.state === 'active' ? '' : 'warn'}>{tenant.state}</td>
                <td class="number">{formatCount(tenant.streams)}</td>
                <td class="number">{formatCount(tenant.rollups)}</td>
                <td class="number">{formatBytes(tenant.storedBytes)}</td>
                <td class="number">{formatBytes(tenant.logBytes)}</td>
                <td class="muted">{limitText(tenant.limits)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}
