/** Made-up measurements, the same for the same seed: quiet stations, and one that has a storm of alarms. */
export interface Datapoint {
  readonly station_id: string;
  readonly datapoint_id: string;
  readonly alarm_id: string;
  readonly event_time: Date;
  readonly value: number;
  readonly valueThreshold: number;
  readonly isActive: boolean;
}

export interface Plan {
  readonly stations: number;
  /** Of each station; each measures once in `everyMs`. */
  readonly datapoints: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly everyMs?: number;
  /** The station whose values are above their thresholds nearly always between these times. */
  readonly storm?: { readonly station: string; readonly fromMs: number; readonly toMs: number };
  readonly seed?: number;
}

const THRESHOLD = 80;

/** In the order of their times. */
export function* measurements(plan: Plan): Generator<Datapoint> {
  const { stations, datapoints, fromMs, toMs, everyMs = 30_000, storm, seed = 1 } = plan;
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  for (let atMs = fromMs; atMs < toMs; atMs += everyMs) {
    for (let station = 1; station <= stations; station += 1) {
      for (let datapoint = 1; datapoint <= datapoints; datapoint += 1) {
        const station_id = `station-${station}`;
        const storms = storm?.station === station_id && atMs >= storm.fromMs && atMs < storm.toMs;
        const isAlarm = random() < (storms ? 0.9 : 0.02);
        const excess = 1 + Math.round(random() * 200) / 10;
        yield {
          station_id,
          datapoint_id: `d${datapoint}`,
          alarm_id: `${station}-${datapoint}-${atMs}`,
          event_time: new Date(atMs),
          value: isAlarm ? THRESHOLD + excess : THRESHOLD - excess,
          valueThreshold: THRESHOLD,
          isActive: isAlarm && random() < 0.5,
        };
      }
    }
  }
}

export const isAlarm = ({ value, valueThreshold }: Datapoint): boolean => value > valueThreshold;
