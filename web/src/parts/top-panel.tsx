import type { Api } from '../api/client.ts';
import { askTop } from '../api/stats.ts';
import { dimensions } from '../model/fields.ts';
import { type RangeName, resolveRange } from '../model/range.ts';
import { revisionOf, type StreamInfo } from '../model/stream.ts';
import type { View } from '../model/view.ts';
import { useAnswer } from '../state/use-answer.ts';
import { AnswerNote } from './answer-note.tsx';
import { FieldSelect } from './field-select.tsx';
import { FinalityMark } from './finality-mark.tsx';
import { TopTable } from './top-table.tsx';

interface TopPanelProps {
  readonly api: Api;
  readonly stream: StreamInfo;
  readonly range: RangeName;
  readonly measure: string;
  readonly by: string | undefined;
  readonly onView: (change: Partial<View>) => void;
}

export function TopPanel({ api, stream, range, measure, by: wanted, onView }: TopPanelProps) {
  const fields = dimensions(stream);
  const by = (fields.find(({ name }) => name === wanted) ?? fields[0])?.name;
  const resolve = () => resolveRange(range, Date.now(), stream.state);
  const { answer, stale, error } = useAnswer({
    question: by === undefined || resolve() === undefined ? undefined : `${by} ${range} ${measure}`,
    revision: () => `${revisionOf(stream, Date.now())} ${resolve()?.to}`,
    ask: (signal) => askTop(api, stream.name, by!, measure, resolve()!, signal),
  });

  return (
    <section class="card top-panel" aria-labelledby="top-title">
      <div class="panel-head">
        <h2 id="top-title">
          Top 10 <FinalityMark finality={answer?.meta.finality} />
        </h2>
        {by !== undefined && (
          <FieldSelect
            label="Counted by"
            fields={fields}
            value={by}
            onChange={(next) => onView({ by: next })}
          />
        )}
      </div>
      {by === undefined ? (
        <p class="muted">This stream has no field to count by.</p>
      ) : (
        <>
          <div class={stale ? 'panel-body stale' : 'panel-body'}>{answer && <TopTable top={answer} />}</div>
          <AnswerNote meta={answer?.meta} error={error} />
        </>
      )}
    </section>
  );
}
