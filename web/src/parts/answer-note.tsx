import type { AnswerMeta } from '../api/stats.ts';
import { formatDuration, formatTime } from '../model/format.ts';

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
      {meta.lagMs !== null && meta.lagMs > 0 && (
        <span title="Age of the oldest event that is accepted but not in the answer">
          Lag <b>{formatDuration(meta.lagMs)}</b>
        </span>
      )}
    </p>
  );
}
