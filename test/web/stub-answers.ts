/** Answers computed from the events in memory: small, slow, and right. */
import type { StubEvent, StubStream } from './stub-data.ts';

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function stateOf({ events, state }: StubStream): Record<string, unknown> {
  const times = [events[0], events.at(-1)].map((event) => event && new Date(event._time).toISOString());
  return {
    accepted: events.length,
    stored: events.length,
    duplicates: 0,
    quarantined: 0,
    late: 0,
    late_dropped: 0,
    pending: 0,
    lag_ms: 0,
    freshness_ms: events.length > 0 ? 140 : null,
    newest_at: null,
    as_of: null,
    first_event_time: times[0] ?? null,
    last_event_time: times[1] ?? null,
    log_bytes: 0,
    ledger: { balanced: true, checked_to: '2026-01-02T03:04:00.000Z', mismatched_minutes: 0 },
    ...state,
  };
}

export function statsOf(stream: StubStream, query: URLSearchParams): unknown {
  const from = Date.parse(query.get('from')!);
  const to = Date.parse(query.get('to')!);
  const fns = query.getAll('fn');
  const by = query.get('by');
  const within = stream.events.filter(({ _time }) => _time >= from && _time < to);
  const measures = (events: readonly StubEvent[]) => fns.map((fn) => [fn, measure(fn, events)]);
  const every = query.get('every');
  let rows: Record<string, unknown>[];
  if (by !== null) {
    const groups = groupBy(within, (event) => event[by]);
    rows = [...groups].map(([value, events]) => Object.fromEntries([[by, value], ...measures(events)]));
    rows.sort((left, right) => Number(right.count) - Number(left.count));
    rows.length = Math.min(rows.length, Number(query.get('limit') ?? 10_000));
  } else if (every !== null) {
    const [, amount, unit] = /^(\d+)([smhd])$/.exec(every)!;
    const width = Number(amount) * UNITS[unit!]!;
    const groups = groupBy(within, ({ _time }) => Math.floor(_time / width) * width);
    rows = [];
    for (let start = Math.floor(from / width) * width; start < to; start += width) {
      const time = ['time', new Date(start).toISOString()];
      rows.push(Object.fromEntries([time, ...measures(groups.get(start) ?? [])]));
    }
  } else {
    rows = [Object.fromEntries(measures(within))];
  }
  return {
    columns: Object.keys(rows[0] ?? {}).map((name) => ({ name, type: 'string' })),
    rows,
    meta: {
      source: by === null ? 'rollup by_day' : 'events',
      as_of: '2026-01-02T03:04:05.678Z',
      lag_ms: 0,
      cached: false,
      elapsed_ms: 3.21,
      from: query.get('from'),
      to: query.get('to'),
    },
  };
}

function measure(fn: string, events: readonly StubEvent[]): unknown {
  if (fn === 'count') return events.length;
  const [, name, field] = /^(\w+)\((\w+)\)$/.exec(fn)!;
  const values = events.map((event) => Number(event[field!])).sort((left, right) => left - right);
  if (values.length === 0) return name === 'sum' ? 0 : null;
  const sum = values.reduce((total, value) => total + value, 0);
  if (name === 'sum') return sum;
  return name === 'avg' ? sum / values.length : values[Math.ceil(values.length * 0.95) - 1];
}

/** Newest first, as the listing and the live stream have them. */
export function eventsOf(stream: StubStream, count: number): readonly unknown[] {
  const first = Math.max(0, stream.events.length - count);
  return stream.events
    .slice(first)
    .map((event, index) => ({
      ...event,
      _id: `event-${first + index}`,
      _time: new Date(event._time).toISOString(),
      _received: new Date(Date.UTC(2026, 0, 2) + first + index).toISOString(),
      _offset: first + index,
    }))
    .reverse();
}

function groupBy<K>(events: readonly StubEvent[], keyOf: (event: StubEvent) => K): Map<K, StubEvent[]> {
  const groups = new Map<K, StubEvent[]>();
  for (const event of events) {
    const key = keyOf(event);
    const group = groups.get(key);
    if (group) group.push(event);
    else groups.set(key, [event]);
  }
  return groups;
}
