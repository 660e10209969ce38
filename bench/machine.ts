import { cpus, freemem, loadavg, totalmem } from 'node:os';

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
