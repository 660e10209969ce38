import type { Api } from '../api/client.ts';
import { measurable } from '../model/fields.ts';
import { defaultRange } from '../model/range.ts';
import type { StreamInfo } from '../model/stream.ts';
import type { View } from '../model/view.ts';
import { ChartPanel } from './chart-panel.tsx';
import { FirstEvent } from './first-event.tsx';
import { LedgerPanel } from './ledger-panel.tsx';
import { NewestPanel } from './newest-panel.tsx';
import { TopPanel } from './top-panel.tsx';

interface StreamDetailProps {
  readonly api: Api;
  readonly stream: StreamInfo;
  readonly epoch: number;
  readonly view: View;
  readonly onView: (change: Partial<View>) => void;
}

/** The chosen stream: its course, its most frequent values, its ledger, its newest events. */
export function StreamDetail({ api, stream, epoch, view, onView }: StreamDetailProps) {
  if (stream.state.accepted === 0) return <FirstEvent stream={stream} />;

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
      />
      <TopPanel api={api} stream={stream} range={range} measure={measure} by={view.by} onView={onView} />
      <LedgerPanel api={api} stream={stream} />
      <NewestPanel api={api} stream={stream} epoch={epoch} />
    </div>
  );
}
