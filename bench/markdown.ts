/** Figures as markdown: a table for each benchmark, with the targets beside what was measured. */
import type { Figure } from './figure.ts';
import { type BenchTarget, TARGETS } from './targets.ts';

/** Said once above or below the table, not in it. */
const APART = new Set(['bench', 'case', 'machine', 'notes']);
/** What was on: they follow the measured values. */
const CONDITIONS = [
  'event_bytes',
  'events_per_request',
  'connections',
  'fsync',
  'dedup',
  'rollups',
  'payload',
  'seconds',
  'rounds',
];

/** Lines that are not figures (a script's own output) are passed over. */
export function readFigures(text: string): Figure[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Figure)
    .filter((figure) => typeof figure.bench === 'string' && typeof figure.case === 'string');
}

export function toMarkdown(figures: readonly Figure[], targets: readonly BenchTarget[] = TARGETS): string {
  const benches = [...new Set(figures.map((figure) => figure.bench))];
  return benches
    .map((bench) =>
      section(
        bench,
        figures.filter((figure) => figure.bench === bench),
        targets,
      ),
    )
    .join('\n');
}

function section(bench: string, figures: readonly Figure[], targets: readonly BenchTarget[]): string {
  const fields = [...new Set(figures.flatMap((figure) => Object.keys(figure)))].filter(
    (field) => !APART.has(field),
  );
  const conditions = CONDITIONS.filter((field) => fields.includes(field));
  const same = conditions.filter(
    (field) => unique(figures.map((figure) => show(figure[field]))).length === 1,
  );
  const columns = [
    ...fields.filter((field) => !CONDITIONS.includes(field)),
    ...conditions.filter((field) => figures.length === 1 || !same.includes(field)),
  ];
  const inAll = same.map((field) => `${words(field)} ${show(figures[0]?.[field])}`);
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const lines = [
    `## ${bench}`,
    '',
    row(['case', 'targets', ...columns.map(words)]),
    row(['---', '---', ...columns.map((column) => (isNumeric(figures, column) ? '---:' : '---'))]),
    ...figures.map((figure) =>
      row([figure.case, targetsOf(figure, targets) || '-', ...columns.map((column) => show(figure[column]))]),
    ),
    '',
    ...(figures.length > 1 && inAll.length > 0 ? [`In all: ${inAll.join(', ')}.`] : []),
    ...unique(figures.map((figure) => figure.notes)).map((notes) => `Notes: ${notes}.`),
    ...unique(figures.slice(0, 1).map((figure) => describe(figure.machine))),
    '',
  ];
  return lines.join('\n');
}

/** `requests per second ≥ 20 000: 90 % of it; p99 ms ≤ 25: reached`. */
function targetsOf(figure: Figure, targets: readonly BenchTarget[]): string {
  return targets
    .filter((target) => target.bench === figure.bench && target.case === figure.case)
    .map((target) => {
      const value = figure[target.field];
      if (typeof value !== 'number') return '';
      const wanted = target.least ?? target.most ?? 0;
      const reached = target.least === undefined ? value <= wanted : value >= wanted;
      const sign = target.least === undefined ? '≤' : '≥';
      const share = value / wanted;
      const verdict = reached
        ? 'reached'
        : target.least === undefined
          ? `${share.toFixed(1)} times it`
          : `${Math.round(share * 100)} % of it`;
      return `${words(target.field)} ${sign} ${show(wanted)}: ${verdict}`;
    })
    .filter((text) => text !== '')
    .join('; ');
}

const words = (field: string): string => field.replaceAll('_', ' ');

const isNumeric = (figures: readonly Figure[], column: string): boolean =>
  figures.some((figure) => typeof figure[column] === 'number');

function show(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') {
    const [whole = '', fraction] = String(value).split('.');
    const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
    return fraction === undefined ? grouped : `${grouped}.${fraction}`;
  }
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' ? value.replaceAll('|', '\\|') : JSON.stringify(value);
}

const unique = (texts: readonly unknown[]): string[] => [
  ...new Set(texts.filter((text): text is string => typeof text === 'string' && text !== '')),
];

function describe(machine: unknown): string {
  if (typeof machine !== 'object' || machine === null) return '';
  const parts = Object.entries(machine).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`);
  return `\nMachine: ${parts.join(', ')}.`;
}
