import { useMemo, useRef } from 'preact/hooks';
import { Api } from './api/client.ts';
import type { View } from './model/view.ts';
import { Dashboard } from './parts/dashboard.tsx';
import { Header } from './parts/header.tsx';
import { KeyForm } from './parts/key-form.tsx';
import { LaterPage } from './parts/later-page.tsx';
import { RefusedNotice } from './parts/refused-notice.tsx';
import { useKey } from './state/use-key.ts';
import { useRights } from './state/use-rights.ts';
import { useStreams } from './state/use-streams.ts';
import { useTenants } from './state/use-tenants.ts';
import { useView } from './state/use-view.ts';

/** Streams are read so often while another page is looked at: the connection is still told. */
const ELSEWHERE_MS = 5_000;

/** For whom the key of the installation speaks when no tenant is named. */
const DEFAULT_TENANT = 'default';

export function App() {
  const [{ key, attempt }, setKey] = useKey();
  const [view, setView] = useView();
  const { page, tenant } = view;
  // Each entry of a key is a new attempt.
  const api = useMemo(() => (key === undefined ? undefined : new Api(key, tenant)), [key, attempt, tenant]);
  const reading = useStreams(api, page === undefined ? undefined : ELSEWHERE_MS);
  const { connection, streams } = reading;
  const onAccess = page === 'access';
  // A key that was not accepted yet is not tried twice.
  const accepted = useRef<number | undefined>(undefined);
  if (streams !== undefined) accepted.current = attempt;
  const tenants = useTenants(accepted.current === attempt ? api : undefined, attempt, onAccess);
  const rights = useRights(accepted.current === attempt ? api : undefined, `${attempt} ${tenant ?? ''}`);
  const refused = connection.kind === 'refused' ? connection : undefined;
  const chooseTenant = (name: string): void =>
    setView({ ...pageOf(view), ...(name === DEFAULT_TENANT ? {} : { tenant: name }) });
  const forgetKey = (): void => {
    setKey(undefined);
    setView({});
  };

  if (api === undefined || (refused !== undefined && (refused.keyIsWrong || tenant === undefined))) {
    return (
      <>
        <Header connection={api === undefined ? undefined : connection} />
        <main>
          <KeyForm refused={api === undefined ? undefined : refused?.detail} onKey={setKey} />
        </main>
      </>
    );
  }
  const header = (
    <Header
      connection={connection}
      onForgetKey={forgetKey}
      access={{
        view,
        tenants: tenants.answer ?? [],
        isShown: tenants.answer !== undefined,
        rights,
        chosen: tenant ?? DEFAULT_TENANT,
        onTenant: chooseTenant,
      }}
    />
  );
  if (refused !== undefined) {
    return (
      <>
        {header}
        <main>
          <RefusedNotice title={`The tenant ${tenant} cannot be shown`} why={refused.detail} />
          <button type="button" onClick={() => setView({})}>
            Show what the key itself sees
          </button>
        </main>
      </>
    );
  }
  return (
    <>
      {header}
      <main>
        {page !== undefined && streams !== undefined ? (
          <LaterPage
            key={tenant ?? ''}
            {...{ api, reading, view, tenants, page }}
            rights={rights}
            streams={streams}
            chosenTenant={tenant ?? DEFAULT_TENANT}
            onTenant={chooseTenant}
            onView={setView}
          />
        ) : (
          <Dashboard key={tenant ?? ''} {...{ api, reading, view, rights }} onView={setView} />
        )}
      </main>
    </>
  );
}

const pageOf = ({ page }: View): View => (page === undefined ? {} : { page });
