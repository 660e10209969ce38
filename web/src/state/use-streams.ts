import { useEffect, useState } from 'preact/hooks';
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
  | { readonly kind: 'refused'; readonly detail: string };

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

/** All streams, read every second; keeps the last numbers and tries again while the server is gone. */
export function useStreams(api: Api | undefined): StreamsReading {
  const [reading, setReading] = useState(START);
  useEffect(() => {
    setReading(START);
    if (api === undefined) return;
    const stop = new AbortController();
    void poll(api, setReading, stop.signal);
    return () => stop.abort();
  }, [api]);
  return reading;
}

type Change = (change: (reading: StreamsReading) => StreamsReading) => void;

async function poll(api: Api, change: Change, signal: AbortSignal): Promise<void> {
  const total = new RateMeter();
  let meters = new Map<string, RateMeter>();
  for (let failures = 0; !signal.aborted; ) {
    try {
      const streams = readStreams(await api.get('v1/streams', signal));
      const now = performance.now();
      failures = 0;
      total.read(addCounts(streams.map((stream) => stream.state.accepted)), now);
      meters = new Map(streams.map(({ name }) => [name, meters.get(name) ?? new RateMeter()]));
      for (const stream of streams) meters.get(stream.name)?.read(stream.state.accepted, now);
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
      if (error instanceof ApiError && error.keyRefused) {
        change((last) => ({ ...last, connection: { kind: 'refused', detail } }));
        return;
      }
      change((last) => ({ ...last, connection: { kind: 'lost', detail } }));
    }
    await pause(Math.min(POLL_MS * 2 ** Math.max(0, failures - 1), RETRY_MS_MAX), signal);
  }
}

function appended(history: readonly number[], rate: number | null): readonly number[] {
  return rate === null ? history : [...history, rate].slice(-HISTORY_MAX);
}
