import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import type { Series } from '../api/stats.ts';
import { formatBucket } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import { useDark } from '../state/use-dark.ts';
import { chartOptions } from './chart-options.ts';

/** A time series. New numbers move into the same canvas: nothing is built anew while only data changes. */
export function Chart({ series }: { readonly series: Series }) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const latest = useRef(series);
  latest.current = series;
  const dark = useDark();
  const shape = series.measure === 'count' || series.measure.startsWith('sum(') ? 'bars' : 'line';

  // Colours of the canvas are read once for each scheme.
  useEffect(() => {
    const element = holder.current!;
    const made = new UPlot(
      chartOptions(element, shape, () => latest.current),
      dataOf(latest.current),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, dark]);

  useEffect(() => plot.current?.setData(dataOf(series)), [series]);

  const { from, to, step } = series.range;
  return (
    <div
      class="chart"
      ref={holder}
      role="img"
      aria-label={`${series.measure} by ${step.label}, ${formatBucket(from, step.ms)} to ${formatBucket(to - 1, step.ms)} UTC, ${series.times.length} buckets. The numbers are in the table below.`}
    />
  );
}

function dataOf(series: Series): UPlot.AlignedData {
  return [series.times.map((ms) => ms / 1_000), series.values.map(toDouble)];
}
