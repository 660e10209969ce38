import { formatTime } from '../model/format.ts';
import type { LedgerState } from '../model/stream.ts';

/** Do the books balance? Said in words, not by the colour alone. */
export function LedgerMark({ ledger }: { readonly ledger: LedgerState }) {
  if (!ledger.balanced) {
    const many = ledger.mismatchedMinutes === 1 ? '1 minute does' : `${ledger.mismatchedMinutes} minutes do`;
    return (
      <span class="pill bad" data-ledger="mismatched" role="alert">
        <span class="dot" />
        {many} not balance
      </span>
    );
  }
  return (
    <span class="pill good" data-ledger="balanced">
      <span class="dot" />
      {ledger.checkedToMs === null
        ? 'Balanced so far'
        : `Balanced, checked to ${formatTime(ledger.checkedToMs)} UTC`}
    </span>
  );
}
