import type { Api } from '../api/client.ts';
import { askRights, type Rights } from '../api/rights.ts';
import { useAnswer } from './use-answer.ts';

/** Undefined while it is not known. Asked once for each key. */
export function useRights(api: Api | undefined, attempt: string): Rights | undefined {
  const { answer, stale } = useAnswer({
    question: api === undefined ? undefined : `rights ${attempt}`,
    revision: () => 'once',
    ask: (signal) => askRights(api!, signal),
  });
  return stale ? undefined : answer;
}
