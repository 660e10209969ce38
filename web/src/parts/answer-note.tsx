import type { AnswerMeta } from '../api/stats.ts';
import { FINALITY_WORDS, type Standing } from '../model/finality.ts';
import { formatCount, formatDuration, formatTime } from '../model/format.ts';

interface AnswerNoteProps {
  readonly meta: AnswerMeta | undefined;
  readonly error: string | undefined;
}

/** How good an answer is: from where, up to when, how fast. Or why there is none. */
export function AnswerNote({ meta, error }: AnswerNoteProps) {
  if (error !== undefined) {
    return (
      <p class="note failed" role="alert">
        {error}
      </p>
    );
  }
  if (meta === undefined) return <p class="note">{'\u00a0'}</p>;
  return (
    <p class="note">
      <span title="What the answer was computed from">
        Source <b data-meta="source">{meta.source}</b>
      </span>
      <span title="Events that arrived up to this time are in the answer">
        As of <b data-meta="as-of">{formatTime(meta.asOf)}</b> UTC
      </span>
      <span title="Time that the server took">
        <b data-meta="elapsed">{formatDuration(meta.elapsedMs)}</b>
        {meta.cached ? ', cached' : ''}
      </span>
      <StandingNote standing={meta} />
      {meta.lagMs !== null && meta.lagMs > 0 && (
        <span title="Age of the oldest event that is accepted but not in the answer">
          Lag <b>{formatDuration(meta.lagMs)}</b>
        </span>
      )}
    </p>
  );
}

/** Up to when it is final, and how many events were late or came twice. */
export function StandingNote({ standing }: { readonly standing: Standing }) {
  const { finality, watermarkMs, version, late, duplicates } = standing;
  return (
    <>
      {finality === 'open' && watermarkMs !== null && (
        <span title={FINALITY_WORDS.open} data-meta="watermark">
          Final until <b>{formatTime(watermarkMs)}</b> UTC, open behind it
        </span>
      )}
      {version !== null && Number(version) > 1 && (
        <span title="1 when it became final, one more for each late event since" data-meta="version">
          Version <b>{formatCount(version)}</b>
        </span>
      )}
      {late !== null && late !== 0 && (
        <span title="Events that came when their minute was over already. They are counted." data-meta="late">
          <b>{formatCount(late)}</b> came late, counted
        </span>
      )}
      {duplicates !== null && duplicates !== 0 && (
        <span title="Events with an id that was there already. They are not counted." data-meta="duplicates">
          <b>{formatCount(duplicates)}</b> came twice, counted once
        </span>
      )}
    </>
  );
}
