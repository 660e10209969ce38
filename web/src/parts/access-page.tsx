import type { TenantInfo } from '../api/access.ts';
import type { Api } from '../api/client.ts';
import type { Answered } from '../state/use-answer.ts';
import { AuditPanel } from './audit-panel.tsx';
import { KeysPanel } from './keys-panel.tsx';
import { RefusedNotice } from './refused-notice.tsx';
import { TenantsPanel } from './tenants-panel.tsx';

interface AccessPageProps {
  readonly api: Api;
  readonly tenants: Answered<readonly TenantInfo[]>;
  /** For whom the page speaks. */
  readonly chosen: string;
  readonly streams: readonly string[];
  readonly onTenant: (tenant: string) => void;
}

/** Who may do what here, and who did. */
export function AccessPage({ api, tenants, chosen, streams, onTenant }: AccessPageProps) {
  if (tenants.refused) return <RefusedNotice title="Access" why={tenants.error ?? ''} />;
  if (tenants.answer === undefined)
    return <p class="waiting-line">{tenants.error ?? 'Reading the tenants…'}</p>;
  return (
    <div class="board">
      <TenantsPanel tenants={tenants.answer} chosen={chosen} onChoose={onTenant} />
      {/* Another tenant's keys: nothing of the one before stays, least of all a secret. */}
      <KeysPanel key={`keys ${chosen}`} api={api} streams={streams} />
      <AuditPanel key={`audit ${chosen}`} api={api} />
    </div>
  );
}
