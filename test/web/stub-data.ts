/** Streams with the same events in every run: years old, of this moment, out of balance, empty. */
export type StubEvent = Readonly<Record<string, unknown>> & { readonly _time: number };

export interface StubStream {
  readonly document: { readonly fields: Record<string, unknown>; eventId?: string; eventTime?: string };
  readonly events: StubEvent[];
  /** Laid over the state that follows from the events. */
  state: Record<string, unknown>;
  /** Rows of the ledger of its last hour. */
  ledger?: readonly Record<string, unknown>[];
}

const DAY = 86_400_000;
const FIRST_DAY = Date.UTC(2001, 0, 1);
const ORIGINS = ['ATL', 'ORD', 'DFW', 'LAX', 'PHX', 'DEN', 'DTW', 'STL', 'IAH', 'MSP', 'LAS', 'SFO', 'CLT'];
const CARRIERS = ['WN', 'DL', 'AA', 'UA', 'US', 'NW', 'CO'];

/** 36 250 flights of the first 181 days of 2001, 220 on a working day, else 150; ids begin above 2^53. */
export function flights(): StubStream {
  const random = lcg(7);
  const events: StubEvent[] = [];
  for (let day = 0; day < 181; day += 1) {
    const flightsOfDay = day % 7 < 5 ? 220 : 150;
    for (let ordinal = 0; ordinal < flightsOfDay; ordinal += 1) {
      const time = FIRST_DAY + day * DAY + Math.floor((ordinal / flightsOfDay) * DAY);
      events.push({
        flight: 9_007_199_254_740_993n + BigInt(events.length),
        origin: ORIGINS[Math.floor(random() ** 2 * ORIGINS.length)]!,
        carrier: CARRIERS[Math.floor(random() ** 1.5 * CARRIERS.length)]!,
        delay: Math.round(random() ** 4 * 120 - 8 + 4 * Math.sin(day / 9)),
        distance: 200 + Math.floor(random() * 2_300),
        departed: new Date(time).toISOString(),
        _time: time,
      });
    }
  }
  return {
    document: {
      fields: {
        flight: 'uint64',
        origin: { type: 'string', maxLength: 3 },
        carrier: { type: 'enum', values: CARRIERS },
        delay: 'int32',
        distance: 'int32',
        departed: 'timestamp',
      },
      eventId: 'flight',
      eventTime: 'departed',
    },
    events,
    state: { accepted: 36_444, duplicates: 191, quarantined: 3 },
  };
}

/** No event time of its own: the time of arrival. */
export function orders(): StubStream {
  return {
    document: {
      fields: {
        product: 'string',
        country: { type: 'enum', values: ['DE', 'FR', 'US'] },
        price: 'decimal(12,2)',
        coupon: { type: 'string', optional: true },
      },
    },
    events: [],
    state: {},
  };
}

export function order(index: number, atMs: number): StubEvent {
  const random = lcg(index + 1);
  return {
    product: ['kettle', 'lamp', 'desk', 'chair', 'rug'][Math.floor(random() ** 2 * 5)]!,
    country: ['DE', 'FR', 'US'][index % 3]!,
    price: Math.round(random() * 20_000) / 100,
    coupon: index % 4 === 0 ? 'SPRING' : null,
    _time: atMs,
  };
}

/** Beyond 2^53 and twelve events short. */
export function sensors(): StubStream {
  const events = [0, 1, 2].map((index) => ({
    sensor: index,
    celsius: 20.5 + index,
    _time: FIRST_DAY + index,
  }));
  return {
    document: { fields: { sensor: 'int32', celsius: 'float64' } },
    events,
    state: { accepted: 9_007_199_254_741_005n, stored: 9_007_199_254_740_993n },
  };
}

function lcg(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
