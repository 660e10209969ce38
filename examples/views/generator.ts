/** Made-up activity, the same for the same seed: a few videos are seen by nearly everybody. */
import type { Activity, ActivityEvent } from './counting.ts';

export interface Video {
  readonly video_id: string;
  readonly title: string;
  readonly channel: string;
}

export const CHANNELS = ['Kitchen', 'Workshop', 'Garden', 'Music'] as const;

export const videoList = (count: number): Video[] =>
  Array.from({ length: count }, (_, index) => {
    const channel = CHANNELS[index % CHANNELS.length]!;
    return { video_id: `v${index + 1}`, title: `${channel} episode ${Math.floor(index / 4) + 1}`, channel };
  });

/** `count` events whose times are spread evenly over `[fromMs, toMs)`. */
export function* activityOf(options: {
  readonly count: number;
  readonly videos: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly seed?: number;
}): Generator<ActivityEvent> {
  const { count, videos, fromMs, toMs, seed = 1 } = options;
  let state = seed;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let index = 0; index < count; index += 1) {
    const type: Activity = below(10) === 0 ? (below(3) === 0 ? 'share' : 'like') : 'view';
    yield {
      event_id: `${seed}-${index}`,
      // The smaller of two numbers: the first videos are seen most.
      video_id: `v${Math.min(below(videos), below(videos)) + 1}`,
      user_id: below(5_000),
      type,
      ...(type === 'view' ? { seconds: 5 + below(600) } : {}),
      at: new Date(fromMs + Math.floor(((toMs - fromMs) * index) / count)),
    };
  }
}
