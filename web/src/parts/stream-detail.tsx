import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import type { Rights } from '../api/rights.ts';
import { askExtent } from '../api/stats.ts';
import { measurable } from '../model/fields.ts';
import { defaultRange } from '../model/range.ts';
import type { StreamInfo } from '../model/stream.ts';
import type { View } from '../model/view.ts';
import { useAnswer } from '../state/use-answer.ts';
import { AnswerNote } from './answer-note.tsx';
import { ChartPanel } from './chart-panel.tsx';
import { FirstEvent } from './first-event.tsx';
import { LedgerPanel } from './ledger-panel.tsx';
import { NewestPanel } from './newest-panel.tsx';
import { RefusedNotice } from './refused-notice.tsx';
import { TimePanel } from './time-panel.tsx';
import { TopPanel } from './top-panel.tsx';

interface StreamDetailProps {
  readonly api: Api;
  readonly stream: StreamInfo;
  readonly epoch: number;
  readonly view: View;
  readonly rights: Rights | undefined;
  readonly onView: (change: Partial<View>) => void;
}

/** The chosen stream: its course, its most frequent values, its ledger, its newest events. */
export function StreamDetail({ stream, ...props }: StreamDetailProps) {
  if (!stream.told) return <UntoldDetail stream={stream} {...props} />;
  if (stream.state.accepted === 0) return <FirstEvent stream={stream} />;
  return <Panels stream={stream} {...props} />;
}

/** A key that is told nothing of the whole stream asks from when to when the rows are that it sees. */
function UntoldDetail({ stream, ...props }: StreamDetailProps) {
  const { answer, error, refused } = useAnswer({
    question: stream.name,
    revision: () => String(Math.floor(Date.now() / EXTENT_REFRESH_MS)),
    ask: (signal) => askExtent(props.api, stream, signal),
  });
  if (refused) return <RefusedNotice title={stream.name} why={error ?? ''} />;
  if (answer === undefined) return <AnswerNote meta={undefined} error={error} />;
  return <Panels stream={{ ...stream, state: { ...stream.state, ...answer } }} {...props} />;
}

const EXTENT_REFRESH_MS = 10_000;

function Panels({ api, stream, epoch, view, onView, rights }: StreamDetailProps) {
  const [refused, setRefused] = useState<string>();
  if (refused !== undefined) return <RefusedNotice title={stream.name} why={refused} />;
  const range = view.range ?? defaultRange(Date.now(), stream.state);
  const fields = measurable(stream);
  const field = fields.find(({ name }) => name === view.field) ?? fields[0];
  const fn = field === undefined ? 'count' : (view.fn ?? 'count');
  const measure = fn === 'count' ? 'count' : `${fn}(${field?.name})`;
  return (
    <div class="detail">
      <ChartPanel
        api={api}
        stream={stream}
        choice={{ range, fn, field: field?.name, measure }}
        onView={onView}
        onRefused={setRefused}
      />
      <TopPanel api={api} stream={stream} range={range} measure={measure} by={view.by} onView={onView} />
      <TimePanel api={api} stream={stream} rights={rights} />
      <LedgerPanel api={api} stream={stream} />
      <NewestPanel api={api} stream={stream} epoch={epoch} />
    </div>
  );
}
