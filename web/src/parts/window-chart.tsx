import { askResults, finalityOf, keyText, type WindowResult, type WindowResults } from '../api/windows.ts';
import { formatMeasure } from '../model/format.ts';
import type { Loose } from '../model/loose.ts';
import type { Range, Step } from '../model/range.ts';
import { type MeasureField, shapeText } from '../model/window.ts';
import { useAnswer } from '../state/use-answer.ts';
import { Chart, type Drawn } from './chart.tsx';
import { ChartLegend } from './chart-legend.tsx';
import { FinalityMark } from './finality-mark.tsx';
import { Cut, Failure, Panel } from './panel.tsx';
import { Select } from './select.tsx';
import { SeriesTable } from './series-table.tsx';
import type { WindowPartProps } from './window-results.tsx';

interface Chosen {
  readonly key?: string | undefined;
  readonly measure?: string | undefined;
}

interface WindowChartProps extends WindowPartProps {
  readonly document: Loose;
  readonly chosen: Chosen;
  readonly onChoose: (chosen: Chosen) => void;
}

const WINDOWS_MAX = 200;
const KEYS_MAX = 200;

/** One measure of one key, window by window. */
export function WindowChart({ api, name, newest, chosen, onChoose, ...props }: WindowChartProps) {
  const options = keyOptions(newest, props.keys);
  const key = chosen.key ?? options[0]?.[0];
  const numbers = props.measures.filter(({ kind }) => kind === 'number');
  const measure = numbers.find(({ field }) => field === chosen.measure) ?? numbers[0] ?? EVENTS;
  const { answer, stale, error } = useAnswer({
    question: key === undefined ? undefined : JSON.stringify([name, key]),
    revision: () => String(props.told),
    ask: (signal) => askResults(api, name, { limit: WINDOWS_MAX, key }, signal),
  });
  // Until the answer about another key is there, the windows are those of the key before.
  const windows = answer && inOrder(answer.results, newest.open, stale ? undefined : key);
  const last = windows?.at(-1);
  const told = windows === undefined ? undefined : seriesOf(windows, measure, props.document);
  const known = options.slice(0, KEYS_MAX);
  const isListed = known.some(([one]) => one === key);
  return (
    <Panel
      id="window-chart"
      title={
        <>
          Course <span class="muted">{measure.label}</span>
        </>
      }
      controls={
        <>
          {props.keys.length > 0 && known.length > 0 && (
            <Select
              label={`Key: ${props.keys.join(', ')}`}
              options={isListed || key === undefined ? known : [[key, labelOf(last, props.keys)], ...known]}
              value={key ?? ''}
              onChange={(next) => onChoose({ ...chosen, key: next })}
            />
          )}
          {numbers.length > 1 && (
            <Select
              label="Measure"
              options={numbers.map(({ field, label }) => [field, label] as const)}
              value={measure.field}
              onChange={(next) => onChoose({ ...chosen, measure: next })}
            />
          )}
        </>
      }
    >
      <div class={stale && answer ? 'panel-body stale' : 'panel-body'}>
        <p class="headline">
          <span class="figure" data-figure="newest">
            {last === undefined
              ? '\u00a0'
              : formatMeasure(last.row[measure.field] ?? fallback(last, measure))}
          </span>{' '}
          {last && <FinalityMark finality={finalityOf(last)} />}{' '}
          {last && (
            <span class="muted">{`newest window${props.keys.length > 0 ? ` of ${labelOf(last, props.keys)}` : ''}`}</span>
          )}
        </p>
        <div class="chart-area">
          {told && <Chart key={told.shape} series={told.series} shape={told.shape} />}
          {key === undefined && (
            <div class="chart-empty">
              <p>No window has ended yet, and none is open.</p>
            </div>
          )}
        </div>
      </div>
      {told && <ChartLegend series={told.series} />}
      <Cut
        shown={known.length}
        of={options.length > KEYS_MAX || newest.next !== undefined ? undefined : known.length}
        what={`keys, those of the newest windows`}
      />
      <Failure error={error} />
      {told && <SeriesTable series={told.series} />}
    </Panel>
  );
}

const EVENTS: MeasureField = { field: 'events', label: 'events', kind: 'number', adds: true };

const labelOf = (result: WindowResult | undefined, keys: readonly string[]): string =>
  result === undefined ? '' : keyText(result, keys);

const fallback = (result: WindowResult, measure: MeasureField): unknown =>
  measure.field === 'events' ? result.events : null;

/** Keys of the newest windows, each once. */
function keyOptions(
  { open, results }: WindowResults,
  keys: readonly string[],
): (readonly [string, string])[] {
  const labels = new Map([...results, ...open].map((result) => [result.key, keyText(result, keys)]));
  return [...labels].sort(([, left], [, right]) => (left < right ? -1 : 1));
}

/** Oldest first; an open window in place of what was told of it early. */
function inOrder(
  results: readonly WindowResult[],
  open: readonly WindowResult[],
  key: string | undefined,
): readonly WindowResult[] {
  const byStart = new Map(results.map((result) => [result.startMs, result]));
  for (const result of open) if (result.key === key) byStart.set(result.startMs, result);
  return [...byStart.values()].sort((left, right) => left.startMs - right.startMs);
}

function seriesOf(
  windows: readonly WindowResult[],
  measure: MeasureField,
  document: Loose,
): { readonly series: Drawn; readonly shape: 'bars' | 'line' } | undefined {
  const [first, last] = [windows[0], windows.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const ends = new Map(windows.map(({ startMs, endMs }) => [startMs, endMs]));
  const step: Step = {
    every: '',
    label: `window, ${shapeText(document)}`,
    ms: first.endMs - first.startMs,
    floor: (ms) => ms,
    next: (startMs) => ends.get(startMs) ?? startMs,
  };
  const range: Range = { from: first.startMs, to: Math.max(last.endMs, last.startMs + 1), step };
  return {
    series: {
      ...{ range, measure: measure.field },
      times: windows.map(({ startMs }) => startMs),
      values: windows.map((result) => result.row[measure.field] ?? fallback(result, measure)),
      finalityOf: (index) => windows[index] && finalityOf(windows[index]),
    },
    // Windows that overlap, or lie anywhere, are no bars beside each other.
    shape: measure.adds && document.tumbling !== undefined ? 'bars' : 'line',
  };
}
