import type { ComponentChildren } from 'preact';
import type { Count } from '../model/count.ts';
import { formatCount, formatDuration, formatRate, formatShare } from '../model/format.ts';
import { totalsOf } from '../model/ledger.ts';
import type { StreamInfo } from '../model/stream.ts';
import type { StreamsReading } from '../state/use-streams.ts';
import { Sparkline } from './sparkline.tsx';

interface TotalsStripProps {
  readonly reading: StreamsReading;
  readonly streams: readonly StreamInfo[];
}

export function TotalsStrip({ reading, streams }: TotalsStripProps) {
  const totals = totalsOf(streams);
  const ofAccepted = (count: Count): string =>
    Number(totals.accepted) > 0 ? formatShare(Number(count) / Number(totals.accepted)) : '';
  return (
    <section class="card" aria-label="Totals of all streams">
      <dl class="totals">
        <div class="total lead">
          <dt>Events/s in</dt>
          <dd class="figure" data-total="rate">
            {formatRate(reading.totalRate)}
          </dd>
          <dd class="aside">
            <Sparkline values={reading.rateHistory} />
          </dd>
        </div>
        <Total name="accepted" label="Accepted" count={totals.accepted}>
          {streams.length === 1 ? '1 stream' : `${streams.length} streams`}
        </Total>
        <Total name="stored" label="Stored" count={totals.stored}>
          {ofAccepted(totals.stored)}
        </Total>
        <Total name="duplicates" label="Duplicates" count={totals.duplicates}>
          {ofAccepted(totals.duplicates)}
        </Total>
        <Total name="quarantined" label="Quarantined" count={totals.quarantined}>
          {ofAccepted(totals.quarantined)}
        </Total>
        <Total name="late" label="Late" count={totals.late}>
          {`${formatCount(totals.lateDropped)} dropped`}
        </Total>
        <Total name="pending" label="Pending" count={totals.pending}>
          {`lag ${formatDuration(totals.lagMs)}`}
        </Total>
      </dl>
    </section>
  );
}

/** Long numbers are written smaller, never cut. */
function sizeOf(text: string): '' | 'long' | 'longest' {
  if (text.length > 17) return 'longest';
  return text.length > 13 ? 'long' : '';
}

interface TotalProps {
  readonly name: string;
  readonly label: string;
  readonly count: Count;
  readonly children: ComponentChildren;
}

function Total({ name, label, count, children }: TotalProps) {
  const text = formatCount(count);
  return (
    <div class="total">
      <dt>{label}</dt>
      <dd class={`figure ${sizeOf(text)}`} data-total={name}>
        {text}
      </dd>
      <dd class="aside">{children}</dd>
    </div>
  );
}
