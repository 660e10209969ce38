/** How a sending goes on, for people: a bar on a terminal, else a line every few seconds. To stderr. */
import { Presets, SingleBar } from 'cli-progress';
import type { Clock } from '../base/clock.ts';
import type { TextSink } from './io.ts';
import type { SendProgress } from './send.ts';

export interface SendMeter {
  show(progress: SendProgress): void;
  /** A line of its own, above the bar. */
  note(text: string): void;
  stop(): void;
}

const LINE_EVERY_MS = 5_000;
const BAR_STEPS = 1_000;

export function sendMeter(out: TextSink, clock: Clock): SendMeter {
  return out.isTTY ? new BarMeter(out, clock) : new LineMeter(out, clock);
}

/** Rate of this run, and what is left of the file at that rate. */
class Pace {
  readonly #clock: Clock;
  readonly #startedAt: number;
  #shareAtStart: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.monotonicMs();
  }

  words(progress: SendProgress): { readonly rate: string; readonly left: string } {
    const seconds = Math.max(0.001, (this.#clock.monotonicMs() - this.#startedAt) / 1_000);
    const rate = `${grouped(Math.round((progress.records - progress.resumedAt) / seconds))}/s`;
    const { share } = progress;
    if (share === undefined) return { rate, left: '' };
    this.#shareAtStart ??= progress.resumedAt === 0 ? 0 : share;
    const gained = share - this.#shareAtStart;
    return { rate, left: gained > 0 ? duration(((1 - share) / gained) * seconds) : '' };
  }
}

class LineMeter implements SendMeter {
  readonly #out: TextSink;
  readonly #clock: Clock;
  readonly #pace: Pace;
  #shownAt: number;

  constructor(out: TextSink, clock: Clock) {
    this.#out = out;
    this.#clock = clock;
    this.#pace = new Pace(clock);
    this.#shownAt = clock.monotonicMs();
  }

  show(progress: SendProgress): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#shownAt < LINE_EVERY_MS) return;
    this.#shownAt = now;
    const { rate, left } = this.#pace.words(progress);
    const share = progress.share === undefined ? '' : ` (${Math.floor(progress.share * 100)} %)`;
    this.note(`${grouped(progress.records)} records${share}, ${rate}${left === '' ? '' : `, ${left} left`}`);
  }

  note(text: string): void {
    this.#out.write(`${text}\n`);
  }

  stop(): void {}
}

class BarMeter implements SendMeter {
  readonly #out: TextSink;
  readonly #pace: Pace;
  readonly #bar: SingleBar;
  #begun = false;

  constructor(out: TextSink, clock: Clock) {
    this.#out = out;
    this.#pace = new Pace(clock);
    this.#bar = new SingleBar(
      {
        format: '{bar} {percentage} % · {records} records · {rate}{left}{note}',
        stream: out as unknown as NodeJS.WritableStream,
        hideCursor: true,
        clearOnComplete: false,
        barsize: 28,
        fps: 10,
      },
      Presets.shades_classic,
    );
  }

  show(progress: SendProgress): void {
    const { rate, left } = this.#pace.words(progress);
    const payload = {
      records: grouped(progress.records),
      rate,
      left: left === '' ? '' : ` · ${left} left`,
      note: '',
    };
    if (!this.#begun) this.#bar.start(BAR_STEPS, 0, payload);
    this.#begun = true;
    this.#bar.update(Math.floor((progress.share ?? 0) * BAR_STEPS), payload);
  }

  note(text: string): void {
    if (this.#begun) this.#bar.update({ note: ` · ${text}` });
    else this.#out.write(`${text}\n`);
  }

  stop(): void {
    if (this.#begun) this.#bar.stop();
  }
}

/** 1234567 → `1 234 567`. */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ' ');
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
