import { formatTime } from '../model/format.ts';

interface LostNoticeProps {
  readonly detail: string;
  /** Epoch ms of the numbers on the page; undefined when there are none yet. */
  readonly readAt: number | undefined;
}

export function LostNotice({ detail, readAt }: LostNoticeProps) {
  return (
    <div class="notice" role="alert">
      <strong>{detail}.</strong>{' '}
      {readAt === undefined
        ? 'Trying again every few seconds.'
        : `These numbers are from ${formatTime(readAt)} UTC. Trying again every few seconds.`}
    </div>
  );
}
