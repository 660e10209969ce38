import { ERROR_CATALOGUE, MillraceError } from '../base/errors.ts';

/** Thrown inside a run that is cancelled or paused; it is not a failure. */
export class RunEnding extends Error {
  constructor() {
    super('the run is cancelled or paused');
    this.name = 'RunEnding';
  }
}

/** Whether the same step may succeed when it is tried again. */
export const mayPass = (error: unknown): boolean =>
  error instanceof MillraceError && ERROR_CATALOGUE[error.code].retry;

export const isCatalogAway = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === 'catalog-unavailable';

/** What people read of a run that failed. */
export function failureWords(error: unknown, tries: number): string {
  const words = error instanceof Error ? error.message : String(error);
  if (tries > 1) {
    return `${words} (after ${tries} tries; nothing it had begun is in use: start it again when the cause is gone)`;
  }
  return error instanceof MillraceError
    ? words
    : `something broke on our side: ${words}; nothing it had begun is in use`;
}
