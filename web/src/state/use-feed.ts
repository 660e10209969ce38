import { useEffect, useState } from 'preact/hooks';
import { type Api, ApiError } from '../api/client.ts';
import { followNewest } from '../api/newest.ts';
import { pause } from './loop.ts';

const RETRY_MS = 2_000;
/** However much comes, whoever depends on it is told once a second. */
const TELL_MS = 1_000;

/**
 * A number that grows whenever something came into a stream: so that what depends on it is asked for when it has changed,
 * and not otherwise. While the tab is hidden there is no connection. A new `epoch` means that the old one is dead.
 */
export function useFeed(api: Api, stream: string, epoch: number): number {
  const [revision, setRevision] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let changed = false;
    const timer = setInterval(() => {
      if (changed) setRevision((count) => count + 1);
      changed = false;
    }, TELL_MS);
    void follow(api, stream, () => (changed = true), stop.signal);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [api, stream, epoch]);
  return revision;
}

async function follow(api: Api, stream: string, onChange: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const hidden = new AbortController();
    const hide = (): void => {
      if (document.hidden) hidden.abort();
    };
    document.addEventListener('visibilitychange', hide, { signal });
    try {
      await followNewest(api, stream, onChange, AbortSignal.any([signal, hidden.signal]));
    } catch (error) {
      if (error instanceof ApiError && error.isFinal) return;
    } finally {
      document.removeEventListener('visibilitychange', hide);
    }
    // Something may have come meanwhile.
    await pause(hidden.signal.aborted ? 0 : RETRY_MS, signal);
    onChange();
  }
}
