import type { Api } from '../api/client.ts';
import type { Rights } from '../api/rights.ts';
import type { View } from '../model/view.ts';
import type { StreamsReading } from '../state/use-streams.ts';
import { LostNotice } from './lost-notice.tsx';
import { NoStreams } from './no-streams.tsx';
import { StreamDetail } from './stream-detail.tsx';
import { StreamsTable } from './streams-table.tsx';
import { TotalsStrip } from './totals-strip.tsx';

interface DashboardProps {
  readonly api: Api;
  readonly reading: StreamsReading;
  readonly view: View;
  /** Undefined while they are not known. */
  readonly rights: Rights | undefined;
  readonly onView: (view: View) => void;
}

export function Dashboard({ api, reading, view, rights, onView }: DashboardProps) {
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
  const told = streams.filter((stream) => stream.told);
  const { tenant } = view;
  return (
    <div class={lost ? 'board faded' : 'board'}>
      {notice}
      {told.length > 0 && <TotalsStrip reading={reading} streams={told} />}
      <StreamsTable
        streams={streams}
        rates={reading.rates}
        chosen={chosen.name}
        // Functions, fields and ranges belong to a stream: the next one starts with its own defaults.
        onChoose={(stream) =>
          stream !== chosen.name && onView({ ...(tenant === undefined ? {} : { tenant }), stream })
        }
      />
      <StreamDetail
        key={chosen.name}
        api={api}
        stream={chosen}
        epoch={reading.epoch}
        view={view}
        rights={rights}
        onView={(change) => onView({ ...view, stream: chosen.name, ...change })}
      />
    </div>
  );
}
