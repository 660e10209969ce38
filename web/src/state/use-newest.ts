import { useEffect, useRef, useState } from 'preact/hooks';
import { type Api, ApiError } from '../api/client.ts';
import { followNewest, listNewest, mergeNewest, type NewestEvent } from '../api/newest.ts';
import { pause } from './loop.ts';

const EVENTS_MAX = 10;
/** However fast events come, the table changes twice a second: it can still be read. */
const SHOW_MS = 500;
const RETRY_MS = 2_000;

/** The ten newest events of a stream, live; held still while `paused`. */
export function useNewest(
  api: Api,
  stream: string,
  epoch: number,
  paused: boolean,
): readonly NewestEvent[] | undefined {
  const [shown, setShown] = useState<{ stream: string; events: readonly NewestEvent[] }>();
  const held = useRef(paused);
  held.current = paused;

  // A new epoch means that the old connection is dead.
  useEffect(() => {
    const stop = new AbortController();
    let newest: readonly NewestEvent[] | undefined;
    let changed = false;
    const add = (events: readonly NewestEvent[]): void => {
      newest = mergeNewest(newest ?? [], events, EVENTS_MAX);
      changed = true;
    };
    const timer = setInterval(() => {
      if (!changed || held.current || newest === undefined) return;
      changed = false;
      setShown({ stream, events: newest });
    }, SHOW_MS);
    void follow(api, stream, add, stop.signal);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [api, stream, epoch]);

  return shown?.stream === stream ? shown.events : undefined;
}

async function follow(
  api: Api,
  stream: string,
  add: (events: readonly NewestEvent[]) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const listing = listNewest(api, stream, EVENTS_MAX, signal).then(add, () => {});
    try {
      await followNewest(api, stream, add, signal);
    } catch (error) {
      // A refused key will not become better; whoever shows the stream tells the reader.
      if (error instanceof ApiError && error.isFinal) return;
    }
    await listing;
    await pause(RETRY_MS, signal);
  }
}
