import type { Top } from '../api/stats.ts';
import { formatCount, formatMeasures, formatShare, formatValue } from '../model/format.ts';

export function TopTable({ top }: { readonly top: Top }) {
  if (top.rows.length === 0) return <p class="muted">Nothing in this range.</p>;
  const measured = top.measure !== 'count';
  const measures = formatMeasures(top.rows.map((row) => row.measured));
  return (
    <table class="top">
      <thead>
        <tr>
          <th scope="col">{top.by}</th>
          {measured && (
            <th scope="col" class="number">
              {top.measure}
            </th>
          )}
          <th scope="col" class="number">
            Count
          </th>
          <th scope="col" class="number">
            Share
          </th>
        </tr>
      </thead>
      <tbody>
        {top.rows.map((row, index) => {
          const value = formatValue(row.value);
          return (
            // Keys made of parts may read the same.
            <tr key={`${index} ${value}`}>
              <th scope="row" title={value}>
                <span class="bar" aria-hidden="true">
                  <span style={{ transform: `scaleX(${barLength(top, row.share)})` }} />
                </span>
                <span class="bar-label">{value === '' ? <i>empty</i> : value}</span>
              </th>
              {measured && <td class="number">{measures[index]}</td>}
              <td class="number">{formatCount(row.count)}</td>
              <td class="number muted">{formatShare(row.share)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** The first row's bar is full: with many values every share is small, and bars would all be dots. */
function barLength(top: Top, share: number): string {
  return (share / Math.max(top.rows[0]?.share ?? 1, Number.MIN_VALUE)).toFixed(4);
}
