import { type Count, subtractCounts } from '../model/count.ts';
import { formatCount, formatDuration, formatRate, formatTime } from '../model/format.ts';
import { unaccounted } from '../model/ledger.ts';
import type { StreamInfo } from '../model/stream.ts';

interface StreamsTableProps {
  readonly streams: readonly StreamInfo[];
  readonly rates: ReadonlyMap<string, number | null>;
  readonly chosen: string;
  readonly onChoose: (stream: string) => void;
}

const COLUMNS = [
  ['Events/s', 'Accepted per second now'],
  ['Accepted', 'Durable in the log'],
  ['Stored', 'Counted once, in every answer'],
  ['Duplicates', 'The same event id again'],
  ['Quarantined', 'Kept aside with a reason'],
  ['Late', 'Behind the watermark by more than the stream allows'],
  ['Pending', 'Accepted, not yet stored'],
  ['Lag', 'Age of the oldest pending event'],
  ['Freshness', 'From arrival to visible in answers'],
  ['Last event (UTC)', 'Newest event time'],
  ['Complete to (UTC)', 'The watermark: up to this event time all events have come, as far as one can know'],
] as const;

export function StreamsTable({ streams, rates, chosen, onChoose }: StreamsTableProps) {
  const columns = streams.some(({ told }) => told) ? COLUMNS : [];
  return (
    <section class="card" aria-labelledby="streams-title">
      <h2 id="streams-title">Streams</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard. */}
      <section class="scroller" aria-label="Table of streams" tabIndex={0}>
        <table class="streams">
          <thead>
            <tr>
              <th scope="col" class="sticky">
                Stream
              </th>
              {columns.map(([name, meaning]) => (
                <th key={name} scope="col" class="number" title={meaning}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {streams.map((stream) => (
              <StreamRow
                key={stream.name}
                stream={stream}
                rate={rates.get(stream.name) ?? null}
                chosen={stream.name === chosen}
                onChoose={onChoose}
              />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

interface StreamRowProps {
  readonly stream: StreamInfo;
  readonly rate: number | null;
  readonly chosen: boolean;
  readonly onChoose: (stream: string) => void;
}

function StreamRow({ stream, rate, chosen, onChoose }: StreamRowProps) {
  const { state, told } = stream;
  const missing = unaccounted(state);
  return (
    // The button in the first cell does the same.
    <tr class={chosen ? 'chosen' : ''} data-stream={stream.name} onClick={() => onChoose(stream.name)}>
      <th scope="row" class="sticky">
        <button type="button" class="plain name" aria-pressed={chosen}>
          {stream.name}
        </button>
        {missing !== 0 && <Imbalance missing={missing} />}
        {state.ledger?.balanced === false && (
          <span class="mark" title="Minutes of arrival in which log and store do not agree">
            {`ledger: ${formatCount(state.ledger.mismatchedMinutes)} not balanced`}
          </span>
        )}
      </th>
      {told ? (
        <>
          <td class={rate === 0 ? 'number zero' : 'number'}>{formatRate(rate)}</td>
          <CountCell count={state.accepted} />
          <CountCell count={state.stored} />
          <CountCell count={state.duplicates} />
          <CountCell count={state.quarantined} tone="warn" />
          <CountCell count={state.late} />
          <CountCell count={state.pending} />
          <td class="number">{formatDuration(state.lagMs)}</td>
          <td class="number">{formatDuration(state.freshnessMs)}</td>
          <td class="number">{formatTime(state.lastEventAt)}</td>
          <td class="number">{formatTime(state.time?.watermarkMs ?? null)}</td>
        </>
      ) : (
        <td class="muted" colSpan={COLUMNS.length}>
          This key is not told counts over all events of the stream.
        </td>
      )}
    </tr>
  );
}

/** Zeros step back, so that what is not zero is seen. */
function CountCell({ count, tone = '' }: { readonly count: Count; readonly tone?: string }) {
  return <td class={`number ${count === 0 ? 'zero' : tone}`}>{formatCount(count)}</td>;
}

/** The books do not balance: accepted is not the sum of its outcomes. */
function Imbalance({ missing }: { readonly missing: Count }) {
  const much = missing > 0 ? missing : subtractCounts(0, missing);
  const what = missing > 0 ? 'unaccounted for' : 'more than accepted';
  return (
    <span
      class="mark"
      title="accepted ≠ stored + duplicates + quarantined + dropped as late + pending"
    >{`${formatCount(much)} ${what}`}</span>
  );
}
