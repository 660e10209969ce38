import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import type { Series } from '../api/stats.ts';
import { formatBucket } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import { useDark } from '../state/use-dark.ts';
import { chartOptions } from './chart-options.ts';

/** What is drawn of a series. */
export type Drawn = Pick<Series, 'range' | 'measure' | 'times' | 'values' | 'finalityOf'>;

interface ChartProps {
  readonly series: Drawn;
  /** Bars add up, a line runs on; absent: what fits the measure. */
  readonly shape?: 'bars' | 'line';
}

/** A time series. New numbers move into the same canvas: nothing is built anew while only data changes. */
export function Chart({ series, ...props }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const latest = useRef(series);
  latest.current = series;
  const dark = useDark();
  const adds = series.measure === 'count' || series.measure.startsWith('sum(');
  const shape = props.shape ?? (adds ? 'bars' : 'line');

  // Colours of the canvas are read once for each scheme.
  useEffect(() => {
    const element = holder.current!;
    const made = new UPlot(
      chartOptions(element, shape, () => latest.current),
      dataOf(latest.current, shape),
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

  useEffect(() => plot.current?.setData(dataOf(series, shape)), [series]);

  const { from, to, step } = series.range;
  const open = series.times.filter((_, index) => series.finalityOf(index) === 'open').length;
  return (
    <div
      class="chart"
      ref={holder}
      role="img"
      aria-label={`${series.measure} by ${step.label}, ${formatBucket(from, step.ms)} to ${formatBucket(to - 1, step.ms)} UTC, ${series.times.length} buckets${open > 0 ? `, ${open} of them still open` : ''}. The numbers are in the table below.`}
    />
  );
}

/** Final buckets, and the open ones: drawn apart. A line of open ones begins at the last final one. */
function dataOf({ times, values, finalityOf }: Drawn, shape: 'bars' | 'line'): UPlot.AlignedData {
  const drawn = values.map(toDouble);
  const isOpen = times.map((_, index) => finalityOf(index) === 'open');
  const joins = (index: number): boolean => shape === 'line' && isOpen[index + 1] === true;
  return [
    times.map((ms) => ms / 1_000),
    drawn.map((value, index) => (isOpen[index] ? null : value)),
    drawn.map((value, index) => (isOpen[index] || joins(index) ? value : null)),
  ];
}
