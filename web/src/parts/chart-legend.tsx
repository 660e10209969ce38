import type { Series } from '../api/stats.ts';
import type { Finality } from '../model/finality.ts';

const WORDS = [
  ['final', 'final'],
  ['open', 'still open'],
  ['corrected', 'corrected by late events'],
] as const satisfies readonly (readonly [Finality, string])[];

/** What solid, hatched and marked buckets mean. Keeps its line also when all are of one kind. */
export function ChartLegend({ series }: { readonly series: Pick<Series, 'times' | 'finalityOf'> }) {
  const seen = new Set(series.times.map((_, index) => series.finalityOf(index)));
  if (seen.size === 0 || (seen.size === 1 && seen.has(undefined))) return null;
  return (
    <ul class="legend" aria-label="What the chart shows">
      {WORDS.filter(([finality]) => seen.has(finality)).map(([finality, words]) => (
        <li key={finality}>
          <span class={`swatch ${finality}`} aria-hidden="true" />
          {words}
        </li>
      ))}
    </ul>
  );
}
