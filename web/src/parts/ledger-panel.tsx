import type { Api } from '../api/client.ts';
import { askLedger, type LedgerLine } from '../api/ledger.ts';
import type { Count } from '../model/count.ts';
import { formatCount, formatTime } from '../model/format.ts';
import type { StreamInfo } from '../model/stream.ts';
import { useAnswer } from '../state/use-answer.ts';
import { LedgerMark } from './ledger-mark.tsx';

interface LedgerPanelProps {
  readonly api: Api;
  readonly stream: StreamInfo;
}

const REFRESH_MS = 10_000;

/** Where each accepted event is: in exactly one column, minute by minute of arrival. */
export function LedgerPanel({ api, stream }: LedgerPanelProps) {
  const { ledger } = stream.state;
  const balanced = ledger?.balanced !== false;
  const { answer, stale, error } = useAnswer({
    question: ledger === null ? undefined : `${stream.name} ${balanced}`,
    revision: () => String(Math.floor(Date.now() / REFRESH_MS)),
    ask: (signal) => askLedger(api, stream.name, !balanced, signal),
  });
  if (ledger === null) return null;
  // What was asked for just now may be wrong already before the server has sealed it.
  const wrong = answer?.recent.filter((line) => !line.balanced).length ?? 0;
  const seen = balanced && wrong > 0 ? { ...ledger, balanced: false, mismatchedMinutes: wrong } : ledger;
  return (
    <section class="card ledger-panel" aria-labelledby="ledger-title">
      <div class="panel-head">
        <h2 id="ledger-title">
          Ledger <span class="muted">{stream.name}, by minute of arrival</span>
        </h2>
        <LedgerMark ledger={seen} />
      </div>
      <div class={stale && answer ? 'panel-body stale' : 'panel-body'}>
        {answer && answer.mismatched.length > 0 && (
          <Lines title="Hours that do not balance" lines={answer.mismatched} />
        )}
        {answer && answer.recent.length > 0 && <Lines title="Newest minutes" lines={answer.recent} />}
      </div>
      {answer && answer.recent.length === 0 && <p class="note">Nothing arrived in the last hour.</p>}
      {error !== undefined && <p class="note failed">{error}</p>}
      {!seen.balanced && (
        <p class="note failed">millrace reconcile {stream.name} --repair finds out why and repairs it.</p>
      )}
    </section>
  );
}

const COLUMNS = [
  ['Accepted', 'Durable in the log'],
  ['Stored', 'Counted once, in every answer'],
  ['Duplicates', 'The same event id again'],
  ['Quarantined', 'Kept aside with a reason'],
  ['Dropped', 'Later than the stream allows'],
  ['Pending', 'Accepted, not yet stored'],
] as const;

function Lines({ title, lines }: { readonly title: string; readonly lines: readonly LedgerLine[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard.
    <section class="scroller" aria-label={title} tabIndex={0}>
      <table class="ledger">
        <caption>{title}</caption>
        <thead>
          <tr>
            <th scope="col">Arrived (UTC)</th>
            {COLUMNS.map(([name, meaning]) => (
              <th key={name} scope="col" class="number" title={meaning}>
                {name}
              </th>
            ))}
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <Line key={line.startMs} line={line} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Line({ line }: { readonly line: LedgerLine }) {
  const { accepted, stored, duplicates, quarantined, lateDropped, pending } = line;
  return (
    <tr class={line.balanced ? '' : 'mismatched'}>
      <th scope="row">{formatTime(line.startMs).slice(0, -3)}</th>
      {[accepted, stored, duplicates, quarantined, lateDropped, pending].map((count, column) => (
        <td key={COLUMNS[column]![0]} class={count === 0 ? 'number zero' : 'number'}>
          {formatCount(count)}
        </td>
      ))}
      <td class={line.balanced ? 'muted' : ''}>{line.balanced ? stateOf(line) : faultOf(line)}</td>
    </tr>
  );
}

const stateOf = (line: LedgerLine): string => (line.sealed ? 'Balanced, sealed' : 'Balanced');

function faultOf({ missing, extra }: LedgerLine): string {
  const part = (count: Count, what: string) => (count === 0 ? [] : [`${formatCount(count)} ${what}`]);
  return ['Mismatch:', [...part(missing, 'missing'), ...part(extra, 'too many')].join(', ')].join(' ');
}
