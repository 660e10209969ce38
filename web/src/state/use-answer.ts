import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { pause } from './loop.ts';

export interface Answered<T> {
  /** The last answer, also while the next question is under way. */
  readonly answer: T | undefined;
  /** `answer` belongs to an earlier question. */
  readonly stale: boolean;
  readonly error: string | undefined;
  /** The key may not ask this: `error` says why, and it is not asked again. */
  readonly refused: boolean;
}

export interface Asking<T> {
  /** What is asked; when it changes, the question is put at once. Undefined: nothing is asked. */
  readonly question: string | undefined;
  /** What the answer depends on besides: it is asked again when this has changed. */
  readonly revision: () => string;
  readonly ask: (signal: AbortSignal) => Promise<T>;
}

const TICK_MS = 1_000;
const RETRY_MS = 3_000;
/** Asking takes at most a fifth of the time, so that a slow question does not keep the server busy. */
const REST_PER_WORK = 4;

/** Puts a question, and puts it again when its data has changed; the old answer stays until the new one is there. */
export function useAnswer<T>(asking: Asking<T>): Answered<T> {
  const [state, setState] = useState<Answered<T> & { readonly question: string | undefined }>({
    answer: undefined,
    stale: false,
    error: undefined,
    refused: false,
    question: undefined,
  });
  const latest = useRef(asking);
  latest.current = asking;
  const { question } = asking;

  useEffect(() => {
    if (question === undefined) return;
    const stop = new AbortController();
    void keepAsking(stop.signal);
    return () => stop.abort();

    async function keepAsking(signal: AbortSignal): Promise<void> {
      let answeredRevision: string | undefined;
      while (!signal.aborted) {
        const revision = latest.current.revision();
        let restMs = TICK_MS;
        if (revision !== answeredRevision) {
          const startedAt = performance.now();
          try {
            const answer = await latest.current.ask(signal);
            if (signal.aborted) return;
            answeredRevision = revision;
            setState({ answer, stale: false, error: undefined, refused: false, question });
          } catch (error) {
            if (signal.aborted) return;
            restMs = RETRY_MS;
            const refused = error instanceof ApiError && error.isFinal;
            const said = error instanceof Error ? error.message : String(error);
            setState((last) => ({ ...last, error: said, refused, ...(refused ? { question } : {}) }));
            if (refused) return;
          }
          restMs = Math.max(restMs, (performance.now() - startedAt) * REST_PER_WORK);
        }
        await pause(restMs, signal);
      }
    }
  }, [question]);

  const isOther = state.question !== question;
  return { ...state, stale: isOther || state.error !== undefined, refused: state.refused && !isOther };
}
