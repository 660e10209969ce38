/** Charts as SVG that needs nothing around it. Pure: the same rows are the same text. */
import { escapeHtml } from './escape.ts';

export type Cell = string | number | boolean | null | readonly unknown[] | Readonly<Record<string, unknown>>;

export interface Sheet {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly Cell[])[];
}

const WIDTH = 720;
const HEIGHT = 240;
const LEFT = 64;
const BOTTOM = 24;
const SERIES_MAX = 8;
const BARS_MAX = 30;
const COLOURS = ['#2563eb', '#dc2626', '#16a34a', '#9333ea', '#ea580c', '#0891b2', '#ca8a04', '#db2777'];

const NUMBER = /^(Nullable\()?(U?Int|Float|Decimal)/;
export const isNumber = ({ type }: Sheet['columns'][number]): boolean => NUMBER.test(type);

interface Series {
  readonly name: string;
  readonly points: { x: number; y: number }[];
}

/** A line for each number, and for each value of the texts beside the first column, which is the way along. */
export function lineChart({ columns, rows }: Sheet): string {
  const numbers = columns.flatMap((column, at) => (at > 0 && isNumber(column) ? [at] : []));
  const keys = columns.flatMap((column, at) => (at > 0 && !isNumber(column) ? [at] : []));
  const places = new Map<string, number>();
  for (const row of rows) {
    const place = String(row[0]);
    if (!places.has(place)) places.set(place, places.size);
  }
  const series = new Map<string, Series>();
  for (const row of rows) {
    const key = keys.map((at) => nameOf(row[at])).join(' · ');
    for (const at of numbers) {
      const y = Number(row[at]);
      if (row[at] === null || !Number.isFinite(y)) continue;
      const name = [key, numbers.length > 1 || key === '' ? columns[at]!.name : '']
        .filter(Boolean)
        .join(' · ');
      const one = series.get(name) ?? { name, points: [] };
      series.set(name, one);
      one.points.push({ x: places.get(String(row[0]))!, y });
    }
  }
  const drawn = [...series.values()].slice(0, SERIES_MAX);
  if (drawn.length === 0) return '';
  const scale = scaleOf(drawn.flatMap(({ points }) => points.map(({ y }) => y)));
  const last = Math.max(1, places.size - 1);
  const lines = drawn.map(({ points }, at) => {
    const path = points.map(
      ({ x, y }) => `${round(LEFT + (x / last) * (WIDTH - LEFT))},${round(scale.at(y))}`,
    );
    return `<polyline fill="none" stroke="${COLOURS[at]}" stroke-width="2" points="${path.join(' ')}"/>`;
  });
  const names = [...places.keys()];
  const ends = [
    text(LEFT, HEIGHT - 6, names[0] ?? '', 'start'),
    ...(names.length > 1 ? [text(WIDTH, HEIGHT - 6, names.at(-1)!, 'end')] : []),
  ];
  return svg(HEIGHT, [...axis(scale), ...lines, ...ends]) + legend(drawn);
}

/** A bar for each row: its texts, and its first number. */
export function barChart({ columns, rows }: Sheet): string {
  const number = columns.findIndex((column) => isNumber(column));
  if (number < 0 || rows.length === 0) return '';
  const shown = rows.slice(0, BARS_MAX);
  const most = Math.max(0, ...shown.map((row) => finite(row[number])));
  const step = 22;
  const bars = shown.flatMap((row, at) => {
    const value = finite(row[number]);
    const name = columns
      .flatMap((column, place) => (isNumber(column) ? [] : [nameOf(row[place])]))
      .join(' · ');
    const length = most > 0 ? (Math.max(0, value) / most) * (WIDTH - 320) : 0;
    return [
      text(190, at * step + 15, name.length > 28 ? `${name.slice(0, 27)}…` : name, 'end'),
      `<rect x="200" y="${at * step + 3}" width="${round(length)}" height="16" fill="${COLOURS[0]}"/>`,
      text(round(206 + length), at * step + 15, String(row[number]), 'start'),
    ];
  });
  return svg(shown.length * step, bars);
}

/** As in the table below. */
const nameOf = (cell: Cell | undefined): string => (cell === null ? '–' : String(cell));
const finite = (cell: Cell | undefined): number => (Number.isFinite(Number(cell)) ? Number(cell) : 0);
const round = (value: number): number => Math.round(value * 10) / 10;

interface Scale {
  readonly least: number;
  readonly most: number;
  at(value: number): number;
}

function scaleOf(values: readonly number[]): Scale {
  const least = values.reduce((a, b) => Math.min(a, b), 0);
  const most = values.reduce((a, b) => Math.max(a, b), least + 1e-9);
  return { least, most, at: (value) => 8 + (1 - (value - least) / (most - least)) * (HEIGHT - BOTTOM - 8) };
}

function axis(scale: Scale): string[] {
  return [scale.least, (scale.least + scale.most) / 2, scale.most].flatMap((value) => {
    const y = round(scale.at(value));
    return [
      `<line x1="${LEFT}" x2="${WIDTH}" y1="${y}" y2="${y}" stroke="#ddd"/>`,
      text(LEFT - 6, y + 4, String(Number(value.toPrecision(4))), 'end'),
    ];
  });
}

const text = (x: number, y: number, words: string, anchor: 'start' | 'end'): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="12" fill="#444">${escapeHtml(words)}</text>`;

const svg = (height: number, parts: readonly string[]): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="100%" role="img">${parts.join('')}</svg>`;

const legend = (series: readonly Series[]): string =>
  `<p class="legend">${series
    .map(
      ({ name }, at) =>
        `<svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" fill="${COLOURS[at]}"/></svg> ${escapeHtml(name)}`,
    )
    .join(' &nbsp; ')}</p>`;
