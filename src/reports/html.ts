/** A report as one page that needs nothing around it: no script, no address, every value escaped. */
import type { ReportChart } from '../define/model.ts';
import { formatMoment } from '../stats/index.ts';
import { barChart, type Cell, isNumber, lineChart, type Sheet } from './chart.ts';
import { escapeHtml } from './escape.ts';
import type { ReportRun } from './port.ts';

export interface Section extends Sheet {
  readonly name: string;
  readonly chart: ReportChart;
  /** Rows of the answer; `rows` may hold only the first of them. */
  readonly total: number;
}

/** More rows than that are for programs. */
export const HTML_ROWS_MAX = 500;

/** Its hash lets the page at `/` show a report in a frame under a policy that allows nothing inline. */
export const REPORT_STYLE =
  'body{font:14px/1.5 system-ui,sans-serif;color:#222;max-width:60rem;margin:2rem auto;padding:0 1rem}' +
  'table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:left}' +
  'td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td.t{white-space:nowrap}.about,.legend{color:#555}';

export function reportHtml(title: string, run: ReportRun, sections: readonly Section[]): string {
  const parameters = Object.entries(run.parameters).map(([name, value]) => `${name} = ${value}`);
  const about = [`${formatMoment(run.fromMs)} to ${formatMoment(run.toMs)} (${run.timeZone})`, ...parameters];
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${REPORT_STYLE}</style></head><body>`,
    `<h1>${escapeHtml(title)}</h1><p class="about">${about.map(escapeHtml).join('<br>')}</p>`,
    ...sections.map(sectionHtml),
    '</body></html>\n',
  ].join('');
}

function sectionHtml(section: Section): string {
  const { name, chart, columns, rows, total } = section;
  const drawn = chart === 'line' ? lineChart(section) : chart === 'bar' ? barChart(section) : '';
  const head = columns.map((column) => `<th>${escapeHtml(column.name)}</th>`).join('');
  const body = rows
    .map((row) => `<tr>${row.map((cell, at) => cellHtml(cell, columns[at]!)).join('')}</tr>`)
    .join('');
  const rest =
    total > rows.length
      ? `<p class="about">The first ${rows.length} of ${total} rows; CSV and Parquet hold all.</p>`
      : '';
  const none = total === 0 ? '<p class="about">There are no rows.</p>' : '';
  return `<h2>${escapeHtml(name)}</h2>${drawn}<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>${rest}${none}`;
}

function cellHtml(cell: Cell, column: Sheet['columns'][number]): string {
  const words = cell === null ? '–' : typeof cell === 'string' ? cell : JSON.stringify(cell);
  const kind = isNumber(column) ? ' class="n"' : column.type.includes('DateTime') ? ' class="t"' : '';
  return `<td${kind}>${escapeHtml(words)}</td>`;
}
