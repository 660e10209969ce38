import { readFileSync } from 'node:fs';
import { cpus, freemem, loadavg, totalmem } from 'node:os';

import { TICKS_A_SECOND } from './process-usage.ts';

/** Figures mean nothing without the machine; `load1` above the idle 0.5 says that it was not ours alone. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memory_gib: number;
  readonly memory_free_gib: number;
  readonly node: string;
  readonly load1: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    cores: all.length,
    cpu: all[0]?.model ?? 'unknown',
    memory_gib: gib(totalmem()),
    memory_free_gib: gib(freemem()),
    node: process.version,
    load1: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

const gib = (bytes: number): number => Number((bytes / 2 ** 30).toFixed(1));

/**
 * Processor seconds that the host gave to others while ours had work, since the machine started; 0 where it is not told. Between
 * two readings it says whether a stall was the machine's.
 */
export function stolenSeconds(): number {
  try {
    const [, ...ticks] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').trim().split(/\s+/);
    return Number(ticks[STEAL] ?? 0) / TICKS_A_SECOND;
  } catch {
    return 0;
  }
}

/** Of the fields of `cpu` in `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. */
const STEAL = 7;
