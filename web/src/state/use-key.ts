import { useCallback, useEffect, useState } from 'preact/hooks';
import { takeKey } from '../model/view.ts';

const SLOT = 'millrace-key';

export interface KeyState {
  readonly key: string | undefined;
  /** Grows with every entry, so that the same key can be tried again. */
  readonly attempt: number;
}

/** The key: out of the address (and removed there), out of the form, kept for this tab only. */
export function useKey(): [KeyState, (key: string | undefined) => void] {
  const [state, setState] = useState<KeyState>(() => ({ key: keyFromAddress() ?? stored(), attempt: 0 }));
  const setKey = useCallback((key: string | undefined) => {
    store(key);
    setState(({ attempt }) => ({ key, attempt: attempt + 1 }));
  }, []);
  useEffect(() => {
    const onHashChange = (): void => {
      const key = keyFromAddress();
      if (key !== undefined) setKey(key);
    };
    addEventListener('hashchange', onHashChange);
    return () => removeEventListener('hashchange', onHashChange);
  }, [setKey]);
  return [state, setKey];
}

function keyFromAddress(): string | undefined {
  const { key, rest } = takeKey(location.hash);
  if (!key) return undefined;
  // Out of the address before anything else, so that it is neither copied nor kept in the history.
  history.replaceState(null, '', `${location.pathname}${location.search}${rest}`);
  store(key);
  return key;
}

/** Storage may be forbidden; then the key lasts as long as the page. */
function store(key: string | undefined): void {
  try {
    if (key === undefined) sessionStorage.removeItem(SLOT);
    else sessionStorage.setItem(SLOT, key);
  } catch {}
}

function stored(): string | undefined {
  try {
    return sessionStorage.getItem(SLOT) ?? undefined;
  } catch {
    return undefined;
  }
}
