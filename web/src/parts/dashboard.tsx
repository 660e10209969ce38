import type { Api } from '../api/client.ts';
import type { StreamsReading } from '../state/use-streams.ts';
import { useView } from '../state/use-view.ts';
import { LostNotice } from './lost-notice.tsx';
import { NoStreams } from './no-streams.tsx';
import { StreamDetail } from './stream-detail.tsx';
import { StreamsTable } from './streams-table.tsx';
import { TotalsStrip } from './totals-strip.tsx';

interface DashboardProps {
  readonly api: Api;
  readonly reading: StreamsReading;
}

export function Dashboard({ api, reading }: DashboardProps) {
  const [view, setView] = useView();
  const { connection, streams } = reading;
  const lost = connection.kind === 'lost';
  const notice = lost && <LostNotice detail={connection.detail} readAt={reading.readAt} />;

  if (streams === undefined) return notice || <p class="waiting-line">Reading the streams…</p>;
  if (streams.length === 0) {
    return (
      <>
        {notice}
        <NoStreams />
      </>
    );
  }
  const chosen = streams.find((stream) => stream.name === view.stream) ?? streams[0]!;
  return (
    <div class={lost ? 'board faded' : 'board'}>
      {notice}
      <TotalsStrip reading={reading} streams={streams} />
      <StreamsTable
        streams={streams}
        rates={reading.rates}
        chosen={chosen.name}
        // Functions, fields and ranges belong to a stream: the next one starts with its own defaults.
        onChoose={(stream) => stream !== chosen.name && setView({ stream })}
      />
      <StreamDetail
        key={chosen.name}
        api={api}
        stream={chosen}
        epoch={reading.epoch}
        view={view}
        onView={(change) => setView({ ...view, stream: chosen.name, ...change })}
      />
    </div>
  );
}
