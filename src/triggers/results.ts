/** The stream of a trigger's firings: named like the trigger, written by nobody else. */
import type { StreamDocument } from '../define/index.ts';

/** An event for each firing and for each end of one; the two have the same `firing_id`. */
export const FIRINGS: StreamDocument = {
  fields: {
    time: 'timestamp',
    status: { type: 'enum', values: ['firing', 'resolved'] },
    firing_id: 'string',
    started_at: 'timestamp',
    since: 'timestamp',
    value: { type: 'float64', optional: true },
    group: 'json',
    label: 'string',
  },
  eventTime: 'time',
  // A firing whose appending was interrupted is appended again when the process is back.
  dedupe: { within: '30d' },
  future: '10y',
  resultOf: 'trigger',
};
