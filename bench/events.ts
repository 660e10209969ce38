/**
 * The events that the benchmarks send, rendered once and then only patched: what differs from event to event
 * (id, time, key) stands at fixed places and has a fixed width.
 *
 *   {"id":"RRRRRRRRNNNNNNNN","ts":"2024-01-01T00:00:00.000Z","key":"k000000","type":…,"country":…,"value":…,"payload":…}
 *          run     number
 */
import { Random, Zipf } from './random.ts';

export const KEYS = 100_000;
const TYPES = [
  'page_view',
  'click',
  'impression',
  'like',
  'share',
  'purchase',
  'add_to_cart',
  'search',
  'signup',
  'video_play',
  'scroll',
  'error',
];
const COUNTRIES = Array.from(
  { length: 40 },
  (_, i) => String.fromCharCode(65 + (i % 26)) + String.fromCharCode(65 + ((i * 7) % 26)),
);

const ID_AT = '{"id":"'.length;
const TIME_AT = ID_AT + 16 + '","ts":"'.length;
const KEY_AT = TIME_AT + 24 + '","key":"k'.length;
/** Bytes of the smallest event that can be asked for. */
export const EVENT_BYTES_MIN = 180;

const DIGITS = Buffer.from('0123456789abcdef');

/** Lines of exactly `eventBytes` bytes (without the newline). The filler compresses about 2.4 times, as real JSON does. */
export function renderLines(count: number, eventBytes: number, seed: number): string[] {
  if (eventBytes < EVENT_BYTES_MIN) throw new Error(`an event has at least ${EVENT_BYTES_MIN} bytes`);
  const random = new Random(seed);
  const words = Array.from({ length: 3_000 }, () => word(random));
  return Array.from({ length: count }, () => {
    const fixed = {
      id: '0'.repeat(16),
      ts: '2024-01-01T00:00:00.000Z',
      key: 'k000000',
      type: TYPES[Math.floor(random.next() * random.next() * TYPES.length)],
      country: COUNTRIES[Math.floor(random.next() * random.next() * COUNTRIES.length)],
      value: Math.round(Math.exp(random.next() * 6) * 100) / 100,
      payload: '',
    };
    const left = eventBytes - JSON.stringify(fixed).length;
    return JSON.stringify({ ...fixed, payload: filler(left, words, random) });
  });
}

function word(random: Random): string {
  let text = '';
  for (let length = 3 + random.below(7); length > 0; length -= 1) {
    text += 'etaoinshrdlucmfwypvbgkqjxz'[Math.floor(random.next() * random.next() * 26)];
  }
  return text;
}

function filler(length: number, words: readonly string[], random: Random): string {
  let text = '';
  while (text.length < length) {
    text += `${words[random.below(words.length)]} `;
    if (random.next() < 0.15) text += `${random.below(100_000)} `;
  }
  return text.slice(0, length);
}

/** Gives each event its own id, the current time and a key of a Zipf distribution. */
export class Stamp {
  readonly #run: Uint8Array;
  /** The keys' digits of 65 536 draws, six bytes each. */
  readonly #keys: Uint8Array;
  #nextKey = 0;
  #time: Uint8Array = Buffer.from(new Date(0).toISOString());

  /** `run` makes the ids of this run differ from those of every other: 32 bits. */
  constructor(run: number, seed = 1) {
    this.#run = Buffer.from((run >>> 0).toString(16).padStart(8, '0'));
    const zipf = new Zipf(KEYS, new Random(seed));
    this.#keys = Buffer.from(
      Array.from({ length: 65_536 }, () => String(zipf.next()).padStart(6, '0')).join(''),
    );
  }

  setTime(epochMs: number): void {
    this.#time = Buffer.from(new Date(epochMs).toISOString());
  }

  /** Patches the event that begins at `at`. `number` is its place in the run, below 2^32. */
  write(target: Uint8Array, at: number, number: number): void {
    target.set(this.#run, at + ID_AT);
    let rest = number;
    for (let i = at + ID_AT + 15; i >= at + ID_AT + 8; i -= 1) {
      target[i] = DIGITS[rest & 15]!;
      rest >>>= 4;
    }
    target.set(this.#time, at + TIME_AT);
    const from = this.#nextKey * 6;
    this.#nextKey = (this.#nextKey + 1) & 65_535;
    for (let i = 0; i < 6; i += 1) target[at + KEY_AT + i] = this.#keys[from + i]!;
  }
}
