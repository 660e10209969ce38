/** How the chart looks. */
import UPlot from 'uplot';
import { formatBucket, formatCompact, formatMeasure } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import type { Drawn } from './chart.tsx';

export type Shape = 'bars' | 'line';

/** How much of its bucket a bar takes, and how wide it is at most. */
const BAR_SHARE = 0.9;
const BAR_PX_MAX = 64;

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Ticks: [smallest step in s, form, form when the year, month, day, hour, minute, second changes, 1: appended]. */
const TICKS: UPlot.Axis.DynamicValues | UPlot.Axis.Values = [
  [365 * DAY, '{YYYY}', null, null, null, null, null, null, 1],
  [28 * DAY, '{MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [DAY, '{MMM} {D}', '\n{YYYY}', null, null, null, null, null, 1],
  [MINUTE, '{HH}:{mm}', '\n{MMM} {D}, {YYYY}', null, '\n{MMM} {D}', null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', '\n{MMM} {D}, {YYYY}', null, '\n{MMM} {D}', null, null, null, 1],
];

export function chartOptions(element: HTMLElement, shape: Shape, latest: () => Drawn): UPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const axis = {
    font,
    stroke: colour('--muted'),
    ticks: { show: false },
    border: { show: false },
  };
  const accent = colour('--accent');
  // From the bucket's start to just before its end.
  const paths = UPlot.paths.bars!({ size: [BAR_SHARE, BAR_PX_MAX], align: 1, gap: 1 });
  const bar = { stroke: accent, points: { show: false }, paths };
  const series: UPlot.Series[] =
    shape === 'bars'
      ? [
          { ...bar, fill: accent, width: 0 },
          { ...bar, fill: hatching(accent), width: 1, dash: [4, 3] },
        ]
      : [
          { stroke: accent, fill: colour('--accent-wash'), width: 1.75, points: { size: 5 } },
          { stroke: accent, width: 1.75, dash: [5, 4], points: { size: 5, fill: colour('--card') } },
        ];
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [8, 20, 0, 16],
    tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC'),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: shape === 'line' } },
    scales: {
      x: { time: true, range: () => [latest().range.from / 1_000, latest().range.to / 1_000] },
      y: { range: (_, low, high) => rangeOf(shape, low, high) },
    },
    axes: [
      { ...axis, grid: { show: false }, values: TICKS as UPlot.Axis.Values, space: 64 },
      {
        ...axis,
        grid: { stroke: colour('--line'), width: 1 },
        values: (_, ticks) => ticks.map(formatCompact),
        size: (plot, values) => labelWidth(plot, values, font),
        space: 36,
      },
    ],
    series: [{}, ...series],
    plugins: [readout(latest), corrections(latest, shape, colour('--notice'))],
  };
}

/** Bars start at nought. A line does too, unless it goes below. */
function rangeOf(shape: Shape, low: number | null, high: number | null): UPlot.Range.MinMax {
  const bottom = Math.min(0, low ?? 0);
  const top = Math.max(0, high ?? 0);
  if (top === bottom) return [0, 1];
  const room = (top - bottom) * (shape === 'bars' ? 0.06 : 0.1);
  return [bottom < 0 ? bottom - room : 0, top > 0 ? top + room : 0];
}

function labelWidth(plot: UPlot, values: readonly string[] | null, font: string): number {
  if (!values) return 40;
  plot.ctx.save();
  plot.ctx.font = font;
  const widest = Math.max(...values.map((value) => plot.ctx.measureText(value).width));
  plot.ctx.restore();
  return Math.ceil(widest) + 14;
}

/** The bucket under the pointer, in words. */
function readout(latest: () => Drawn): UPlot.Plugin {
  const box = document.createElement('div');
  box.className = 'readout';
  box.hidden = true;
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const { left = -1 } = plot.cursor;
        const series = latest();
        const index = left < 0 ? -1 : bucketAt(series, plot.posToVal(left, 'x') * 1_000);
        const time = series.times[index];
        box.hidden = time === undefined;
        if (time === undefined) return;
        const value = document.createElement('b');
        value.textContent = formatMeasure(series.values[index]);
        const finality = series.finalityOf(index);
        const state = finality === undefined || finality === 'final' ? '' : `, ${finality}`;
        box.replaceChildren(value, ` ${formatBucket(time, series.range.step.ms)}${state}`);
        const room = plot.over.clientWidth - box.offsetWidth;
        box.style.transform = `translateX(${Math.max(0, Math.min(left - box.offsetWidth / 2, room))}px)`;
      },
    },
  };
}

/** The bucket that holds the moment, not the one whose start is nearest. */
function bucketAt(series: Drawn, ms: number): number {
  return series.times.findLastIndex((time) => time <= ms);
}

const HATCH_PX = 6;

/** Lighter than a final bucket, and not by colour alone. */
function hatching(colour: string): CanvasPattern | string {
  const size = Math.round(HATCH_PX * devicePixelRatio);
  const canvas = Object.assign(document.createElement('canvas'), { width: size, height: size });
  const context = canvas.getContext('2d');
  if (context === null) return 'transparent';
  context.strokeStyle = colour;
  context.lineWidth = devicePixelRatio;
  context.globalAlpha = 0.7;
  for (const shift of [-size, 0, size]) {
    context.moveTo(shift, size);
    context.lineTo(shift + size, 0);
  }
  context.stroke();
  return context.createPattern(canvas, 'repeat') ?? 'transparent';
}

/** A triangle over each bucket that late events have changed. */
function corrections(latest: () => Drawn, shape: Shape, colour: string): UPlot.Plugin {
  const draw = (plot: UPlot): void => {
    const { times, values, finalityOf, range } = latest();
    const half = 4 * devicePixelRatio;
    plot.ctx.save();
    plot.ctx.fillStyle = colour;
    times.forEach((time, index) => {
      const value = toDouble(values[index]);
      if (value === null || finalityOf(index) !== 'corrected') return;
      const start = plot.valToPos(time / 1_000, 'x', true);
      const end = plot.valToPos(Math.min(range.step.next(time), range.to) / 1_000, 'x', true);
      // A bar stands behind its start, a point of a line on it.
      const width = Math.min((end - start) * BAR_SHARE, BAR_PX_MAX * devicePixelRatio);
      const x = shape === 'bars' ? start + width / 2 : start;
      const y = Math.max(plot.valToPos(value, 'y', true) - half, plot.bbox.top + 2 * half);
      plot.ctx.beginPath();
      plot.ctx.moveTo(x, y);
      plot.ctx.lineTo(x - half, y - 2 * half);
      plot.ctx.lineTo(x + half, y - 2 * half);
      plot.ctx.fill();
    });
    plot.ctx.restore();
  };
  return { hooks: { draw } };
}
