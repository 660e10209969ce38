import { useState } from 'preact/hooks';
import { formatBucket, formatMeasures } from '../model/format.ts';
import type { Drawn } from './chart.tsx';

/** The chart's numbers as a table, for those who cannot see it or want the digits. */
export function SeriesTable({ series }: { readonly series: Drawn }) {
  const [open, setOpen] = useState(false);
  const isKnown = series.times.some((_, index) => series.finalityOf(index) !== undefined);
  const measures = open ? formatMeasures(series.values) : [];
  return (
    <details class="series-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Numbers of the chart</summary>
      {open && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard.
        <section class="scroller tall" aria-label="Numbers of the chart" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">{`From (UTC), ${series.range.step.label}`}</th>
                <th scope="col" class="number">
                  {series.measure}
                </th>
                {isKnown && <th scope="col">State</th>}
              </tr>
            </thead>
            <tbody>
              {series.times.map((time, index) => (
                <tr key={time}>
                  <th scope="row">{formatBucket(time, series.range.step.ms)}</th>
                  <td class="number">{measures[index]}</td>
                  {isKnown && <td class="muted">{series.finalityOf(index) ?? ''}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}
