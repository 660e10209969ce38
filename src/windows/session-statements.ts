/** Sessions in the engine: which keys may have some, when their events were, and the results of sessions that are known. */
import { columnOf } from '../define/model.ts';
import { quoteIdentifier, type Statement } from '../store/index.ts';
import { keyFields } from './keys.ts';
import { digestSql, keyAlias, mergedState, windowStates } from './result-stream.ts';
import { rowSql } from './slot-statements.ts';
import type { Span } from './slots.ts';
import { eventsSql, isNew, Parameters, type Prepared, type Reach, statement } from './source.ts';

/** Keys with events in reach, in order: hash and earliest moment. */
export function keysStatement(
  prepared: Prepared,
  reach: Reach,
  {
    after,
    limit,
    among,
  }: {
    readonly after: string | undefined;
    readonly limit: number;
    readonly among?: readonly string[];
  },
): Statement {
  const parameters = new Parameters();
  const behind = [
    ...(after === undefined ? [] : [`_kh > ${parameters.bind('String', after)}`]),
    ...(among === undefined ? [] : [`has(${parameters.bind('Array(String)', among)}, _kh)`]),
  ];
  const found = eventsSql(prepared, reach, parameters, '_kh, toString(min(_t))', behind);
  return statement(
    `${found} GROUP BY _kh ORDER BY _kh LIMIT ${parameters.bind('UInt64', limit)}`,
    parameters,
  );
}

/** Moments of events of some keys: hash, moments in order, and which of them came with the step. */
export function timesStatement(prepared: Prepared, reach: Reach, keys: readonly string[]): Statement {
  const parameters = new Parameters();
  const some = `has(${parameters.bind('Array(String)', keys)}, _kh)`;
  const fresh = isNew(parameters, reach.since);
  const found = eventsSql(
    prepared,
    { ...reach, onlyNew: false },
    parameters,
    `_kh, arraySort(groupUniqArray(_t)), arraySort(groupUniqArrayIf(_t, ${fresh}))`,
    [some],
  );
  return statement(`${found} GROUP BY _kh ORDER BY _kh`, parameters);
}

export interface KeyedSpan extends Span {
  readonly key: string;
}

/** Results of sessions, in rows like those of windows of slots. */
export function sessionsStatement(
  prepared: Prepared,
  reach: Reach,
  sessions: readonly KeyedSpan[],
): Statement {
  const { stream, window } = prepared;
  const parameters = new Parameters();
  const keys = keyFields(prepared);
  const states = windowStates(stream, window);
  const hashes = parameters.bind(
    'Array(String)',
    sessions.map(({ key }) => key),
  );
  const starts = parameters.bind(
    'Array(Int64)',
    sessions.map(({ startMs }) => startMs),
  );
  const ends = parameters.bind(
    'Array(Int64)',
    sessions.map(({ endMs }) => endMs),
  );
  const events = eventsSql(
    prepared,
    {
      ...reach,
      onlyNew: false,
      fromMs: Math.min(...sessions.map(({ startMs }) => startMs)),
      toMs: Math.max(...sessions.map(({ endMs }) => endMs)),
    },
    parameters,
    '*',
    [`has(${hashes}, _kh)`],
  );
  const grouped = ['_s', '_e', '_kh', ...keys.map(keyAlias)].join(', ');
  const inner = `SELECT session.2 AS _s, session.3 AS _e, events._kh AS _kh${keys.map((field) => `, ${quoteIdentifier(columnOf(field))} AS ${keyAlias(field)}`).join('')}, count() AS _n, countIf(${isNew(parameters, reach.since)}) AS _new, ${digestSql(stream, window)} AS _part${states.map((state) => `, ${state.fromEvents} AS ${quoteIdentifier(state.name)}`).join('')}
FROM (${events}) AS events
INNER JOIN (SELECT arrayJoin(arrayZip(${hashes}, ${starts}, ${ends})) AS session, session.1 AS _key) AS sessions ON events._kh = sessions._key
WHERE events._t >= session.2 AND events._t < session.3 GROUP BY ${grouped}`;
  return statement(
    `SELECT toString(_s), toString(_e), _kh, toString(_events), toString(_fresh), toString(_digest), ${rowSql(prepared)} FROM (
SELECT ${grouped}, sum(_n) AS _events, sum(_new) AS _fresh, sumWithOverflow(_part) AS _digest${states.map((state) => `, ${mergedState(state)}`).join('')} FROM (${inner}) GROUP BY ${grouped}
) ORDER BY _s, _kh`,
    parameters,
  );
}
