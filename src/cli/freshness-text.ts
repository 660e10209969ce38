/** How fresh an answer is, in a few words. */
export interface Freshness {
  readonly as_of: string | null;
  readonly lag_ms: number;
}

export const freshnessText = ({ as_of, lag_ms }: Freshness): string =>
  `as of ${as_of ?? 'the beginning'}${lag_ms > 0 ? `, ${lag_ms} ms behind` : ''}`;
