/** What a stream says of the order of its events, in sentences. */
import { isNothing } from './loose.ts';
import type { TimeRules } from './stream.ts';

const THEN: Readonly<Record<string, string>> = {
  count: 'is counted all the same',
  quarantine: 'is kept aside',
  drop: 'is not counted',
};

export function rulesText({ delay, idle, source, allowed, then }: TimeRules): string {
  const order = isNothing(delay)
    ? 'Events are taken to come in order.'
    : `Events may come ${delay} out of order without being late.`;
  const each =
    source === undefined ? '' : ` Each ${source} has its own time; the one furthest behind counts.`;
  const silence =
    idle === undefined
      ? ' A source that falls silent is waited for.'
      : ` A source that is silent for ${idle} is not waited for.`;
  const late = ` What comes ${isNothing(allowed) ? 'late' : `more than ${allowed} late`} ${THEN[then] ?? then}.`;
  return order + each + silence + late;
}
