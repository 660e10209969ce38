import { useCallback, useEffect, useState } from 'preact/hooks';
import { readView, type View, writeView } from '../model/view.ts';

/** The view in the address. Changing it leaves no trail in the history. */
export function useView(): [View, (view: View) => void] {
  const [view, setView] = useState<View>(() => readView(location.hash));
  const change = useCallback((next: View) => {
    history.replaceState(null, '', `${location.pathname}${location.search}${writeView(next)}`);
    setView(next);
  }, []);
  useEffect(() => {
    const onHashChange = (): void => setView(readView(location.hash));
    addEventListener('hashchange', onHashChange);
    return () => removeEventListener('hashchange', onHashChange);
  }, []);
  return [view, change];
}
