import { useEffect, useState } from 'preact/hooks';
import type { OtherPageProps } from './other-page.tsx';

type Loaded = typeof import('./other-page.tsx').OtherPage;

let loaded: Loaded | undefined;

/** Every page but the first comes when it is looked at: who opens the page to see the streams does not wait for it. */
export function LaterPage(props: OtherPageProps) {
  const [Page, setPage] = useState<Loaded | undefined>(() => loaded);
  const [failed, setFailed] = useState(false);
  const { epoch } = props.reading;
  // Again when the server is back.
  useEffect(() => {
    if (Page !== undefined) return;
    import('./other-page.tsx').then(
      ({ OtherPage }) => {
        loaded = OtherPage;
        setPage(() => OtherPage);
      },
      () => setFailed(true),
    );
  }, [epoch]);
  if (Page !== undefined) return <Page {...props} />;
  return (
    <p class="waiting-line" role="status">
      {failed ? 'This page could not be loaded. Reload it in the browser.' : '\u00a0'}
    </p>
  );
}
