import { useEffect } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import { askSeries } from '../api/stats.ts';
import { measurable } from '../model/fields.ts';
import { formatBucket, formatMeasure } from '../model/format.ts';
import { RANGES, type RangeName, resolveRange } from '../model/range.ts';
import { revisionOf, type StreamInfo } from '../model/stream.ts';
import type { FunctionName, View } from '../model/view.ts';
import { useAnswer } from '../state/use-answer.ts';
import { AnswerNote } from './answer-note.tsx';
import { Chart } from './chart.tsx';
import { ChartLegend } from './chart-legend.tsx';
import { Choice } from './choice.tsx';
import { FieldSelect } from './field-select.tsx';
import { FinalityMark } from './finality-mark.tsx';
import { SeriesTable } from './series-table.tsx';

const FUNCTION_OPTIONS = [
  ['count', 'Count'],
  ['sum', 'Sum'],
  ['avg', 'Average'],
  ['p95', 'p95'],
] as const satisfies readonly (readonly [FunctionName, string])[];
const RANGE_OPTIONS = RANGES.map((name) => [name, name === 'all' ? 'All' : name] as const);

interface ChartPanelProps {
  readonly api: Api;
  readonly stream: StreamInfo;
  readonly choice: {
    readonly range: RangeName;
    readonly fn: FunctionName;
    readonly field: string | undefined;
    readonly measure: string;
  };
  readonly onView: (change: Partial<View>) => void;
  /** The key may not ask about this stream; `why` tells what it lacks. */
  readonly onRefused: (why: string) => void;
}

export function ChartPanel({ api, stream, choice, onView, onRefused }: ChartPanelProps) {
  const { range: name, fn, field, measure } = choice;
  const resolve = () => resolveRange(name, Date.now(), stream.state);
  const { answer, stale, error, refused } = useAnswer({
    question: resolve() === undefined ? undefined : `${name} ${measure}`,
    // A range that ends now moves on by itself, bucket by bucket.
    revision: () => `${revisionOf(stream, Date.now())} ${resolve()?.to}`,
    ask: (signal) => askSeries(api, stream, measure, resolve()!, signal),
  });
  useEffect(() => {
    if (refused && error !== undefined) onRefused(error);
  }, [refused, error]);
  const fields = measurable(stream);
  const empty = answer !== undefined && answer.events === 0;

  return (
    <section class="card chart-panel" aria-labelledby="chart-title">
      <div class="panel-head">
        <h2 id="chart-title">
          {stream.name} <span class="muted">{measure}</span>
        </h2>
        <div class="controls">
          <Choice
            name="fn"
            legend="Function"
            options={fields.length > 0 ? FUNCTION_OPTIONS : FUNCTION_OPTIONS.slice(0, 1)}
            value={fn}
            onChange={(next) => onView({ fn: next })}
          />
          {fn !== 'count' && field !== undefined && (
            <FieldSelect
              label="Measured field"
              fields={fields}
              value={field}
              onChange={(next) => onView({ field: next })}
            />
          )}
          <Choice
            name="range"
            legend="Range"
            options={RANGE_OPTIONS}
            value={name}
            onChange={(next) => onView({ range: next })}
          />
        </div>
      </div>
      <div class={stale ? 'panel-body stale' : 'panel-body'}>
        <p class="headline">
          <span class="figure" data-figure="overall">
            {answer === undefined ? '\u00a0' : formatMeasure(answer.overall)}
          </span>{' '}
          {answer !== undefined && <FinalityMark finality={answer.meta.finality} />}{' '}
          {answer !== undefined && (
            <span class="muted">
              {`${answer.measure === 'count' ? 'events' : answer.measure} from ${formatBucket(answer.range.from, answer.range.step.ms)} to ${formatBucket(answer.range.to - 1, answer.range.step.ms)} UTC, by ${answer.range.step.label}`}
            </span>
          )}
        </p>
        <div class="chart-area">
          {answer !== undefined && <Chart series={answer} />}
          {empty && (
            <div class="chart-empty">
              <p>No event has its time in this range.</p>
              {stream.state.lastEventAt !== null && name !== 'all' && (
                <button type="button" onClick={() => onView({ range: 'all' })}>
                  Show all the data
                </button>
              )}
            </div>
          )}
        </div>
      </div>
      {answer !== undefined && <ChartLegend series={answer} />}
      <AnswerNote meta={answer?.meta} error={error} />
      {answer !== undefined && <SeriesTable series={answer} />}
    </section>
  );
}
