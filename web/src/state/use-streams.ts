import { useEffect, useRef, useState } from 'preact/hooks';
import { type Api, ApiError } from '../api/client.ts';
import { addCounts } from '../model/count.ts';
import { RateMeter } from '../model/rate.ts';
import { readStreams, type StreamInfo } from '../model/stream.ts';
import { pause } from './loop.ts';

const POLL_MS = 1_000;
const RETRY_MS_MAX = 5_000;
/** Two minutes of arrival for the sparkline. */
const HISTORY_MAX = 120;

export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'lost'; readonly detail: string }
  | { readonly kind: 'refused'; readonly detail: string; readonly keyIsWrong: boolean };

export interface StreamsReading {
  readonly connection: Connection;
  /** The last good answer; undefined before the first. */
  readonly streams: readonly StreamInfo[] | undefined;
  /** Epoch ms of the last good answer. */
  readonly readAt: number | undefined;
  readonly rates: ReadonlyMap<string, number | null>;
  readonly totalRate: number | null;
  readonly rateHistory: readonly number[];
  /** Grows each time the server comes back, so that other connections are made anew. */
  readonly epoch: number;
}

const START: StreamsReading = {
  connection: { kind: 'connecting' },
  streams: undefined,
  readAt: undefined,
  rates: new Map(),
  totalRate: null,
  rateHistory: [],
  epoch: 0,
};

/** All streams, read every second or as seldom as said; keeps the last numbers and tries again while the server is gone. */
export function useStreams(api: Api | undefined, everyMs = POLL_MS): StreamsReading {
  const [read, setRead] = useState<{ readonly of: Api | undefined; readonly reading: StreamsReading }>();
  const pace = useRef(everyMs);
  pace.current = everyMs;
  useEffect(() => {
    if (api === undefined) return;
    const stop = new AbortController();
    const change: Change = (next) =>
      setRead((last) => ({ of: api, reading: next(last?.of === api ? last.reading : START) }));
    void poll(api, change, () => pace.current, stop.signal);
    return () => stop.abort();
  }, [api]);
  // What another key or tenant was shown is never shown to this one.
  return read?.of === api && read !== undefined ? read.reading : START;
}

type Change = (change: (reading: StreamsReading) => StreamsReading) => void;

async function poll(api: Api, change: Change, pace: () => number, signal: AbortSignal): Promise<void> {
  const total = new RateMeter();
  let meters = new Map<string, RateMeter>();
  for (let failures = 0; !signal.aborted; ) {
    try {
      const streams = readStreams(await api.get('v1/streams', signal));
      const told = streams.filter((stream) => stream.told);
      const now = performance.now();
      failures = 0;
      total.read(addCounts(told.map((stream) => stream.state.accepted)), now);
      meters = new Map(told.map(({ name }) => [name, meters.get(name) ?? new RateMeter()]));
      for (const stream of told) meters.get(stream.name)?.read(stream.state.accepted, now);
      const rates = new Map([...meters].map(([name, meter]) => [name, meter.perSecond]));
      change((last) => ({
        connection: { kind: 'live' },
        streams,
        readAt: Date.now(),
        rates,
        totalRate: total.perSecond,
        rateHistory: appended(last.rateHistory, total.perSecond),
        epoch: last.connection.kind === 'lost' ? last.epoch + 1 : last.epoch,
      }));
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const detail = error instanceof Error ? error.message : String(error);
      if (error instanceof ApiError && (error.keyRefused || error.code === 'unknown-tenant')) {
        const keyIsWrong = error.status === 401;
        change((last) => ({ ...last, connection: { kind: 'refused', detail, keyIsWrong } }));
        return;
      }
      change((last) => ({ ...last, connection: { kind: 'lost', detail } }));
    }
    if (failures > 0) await pause(Math.min(POLL_MS * 2 ** (failures - 1), RETRY_MS_MAX), signal);
    else await slices(pace, signal);
  }
}

function appended(history: readonly number[], rate: number | null): readonly number[] {
  return rate === null ? history : [...history, rate].slice(-HISTORY_MAX);
}

/** A second at a time: who comes back to the streams does not wait for the long pause to end. */
async function slices(pace: () => number, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < pace() && !signal.aborted; waitedMs += POLL_MS)
    await pause(POLL_MS, signal);
}
