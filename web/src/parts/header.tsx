import type { TenantInfo } from '../api/access.ts';
import type { Rights } from '../api/rights.ts';
import type { View } from '../model/view.ts';
import type { Connection } from '../state/use-streams.ts';
import { Places } from './places.tsx';

interface HeaderProps {
  /** Undefined: no connection is tried, a key is missing. */
  readonly connection: Connection | undefined;
  readonly onForgetKey?: () => void;
  readonly access?: AccessProps;
}

interface AccessProps {
  readonly view: View;
  readonly tenants: readonly TenantInfo[];
  /** Whether the key may see keys, tenants and the audit log. */
  readonly isShown: boolean;
  /** Undefined while they are not known. */
  readonly rights: Rights | undefined;
  /** For whom the page speaks. */
  readonly chosen: string;
  readonly onTenant: (tenant: string) => void;
}

const STATES = {
  none: ['quiet', 'Key needed'],
  connecting: ['waiting', 'Connecting'],
  live: ['good', 'Live'],
  lost: ['bad', 'Connection lost'],
  refused: ['bad', 'Key refused'],
} as const;

export function Header({ connection, onForgetKey, access }: HeaderProps) {
  const [tone, label] = STATES[connection?.kind ?? 'none'];
  return (
    <header class="masthead">
      <h1>
        <Wheel />
        Millrace
      </h1>
      <p class={`pill ${tone}`} role="status">
        <span class="dot" aria-hidden="true" />
        {label}
      </p>
      <nav aria-label="Tools">
        {access !== undefined && access.tenants.length > 1 && <TenantSelect {...access} />}
        <a href="./docs">API</a>
        {onForgetKey && (
          <button type="button" class="plain" onClick={onForgetKey}>
            Change key
          </button>
        )}
      </nav>
      {access !== undefined && <Places {...access} />}
    </header>
  );
}

function TenantSelect({ tenants, chosen, onTenant }: AccessProps) {
  return (
    <label class="select">
      <span class="unseen">Tenant</span>
      <select value={chosen} onChange={(event) => onTenant(event.currentTarget.value)}>
        {tenants.map(({ name, state }) => (
          <option key={name} value={name} disabled={state === 'deleting'}>
            {state === 'active' ? name : `${name} (${state})`}
          </option>
        ))}
      </select>
    </label>
  );
}

function Wheel() {
  return (
    <svg class="wheel" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <circle cx="12" cy="10" r="6.5" />
      <path d="M12 3.5v13M5.5 10h13M7.4 5.4l9.2 9.2M16.6 5.4l-9.2 9.2" />
      <path d="M2 20.5c2 0 2-1.6 4-1.6s2 1.6 4 1.6 2-1.6 4-1.6 2 1.6 4 1.6 2-1.6 4-1.6" />
    </svg>
  );
}
