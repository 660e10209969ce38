import { useMemo } from 'preact/hooks';
import { Api } from './api/client.ts';
import { Dashboard } from './parts/dashboard.tsx';
import { Header } from './parts/header.tsx';
import { KeyForm } from './parts/key-form.tsx';
import { useKey } from './state/use-key.ts';
import { useStreams } from './state/use-streams.ts';

export function App() {
  const [{ key, attempt }, setKey] = useKey();
  // Each entry of a key is a new attempt.
  const api = useMemo(() => (key === undefined ? undefined : new Api(key)), [key, attempt]);
  const reading = useStreams(api);
  const { connection } = reading;

  if (api === undefined || connection.kind === 'refused') {
    return (
      <>
        <Header connection={api === undefined ? undefined : connection} />
        <main>
          <KeyForm
            refused={api !== undefined && connection.kind === 'refused' ? connection.detail : undefined}
            onKey={setKey}
          />
        </main>
      </>
    );
  }
  return (
    <>
      <Header connection={connection} onForgetKey={() => setKey(undefined)} />
      <main>
        <Dashboard api={api} reading={reading} />
      </main>
    </>
  );
}
