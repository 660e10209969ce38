/** What a process and its children use, and what is kept from all, from Linux's `/proc`. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Usage {
  /** CPU since the start, all threads, seconds. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** `USER_HZ` is 100 on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;
/** Of the fields of `cpu` in `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. */
const STEAL = 7;

/** Sums over the process and its descendants: a launcher may put the server into a child. Zero where there is no `/proc`. */
export function usageOf(pid: number): Usage {
  let cpuSeconds = 0;
  let rssBytes = 0;
  for (const one of family(pid)) {
    const stat = read(`/proc/${one}/stat`);
    const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
    cpuSeconds += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_A_SECOND;
    rssBytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${one}/status`))?.[1] ?? 0) * 1_024;
  }
  return { cpuSeconds, rssBytes };
}

/**
 * Processor seconds that the host gave to others while ours had work, since the machine started; 0 where it is not told. Between
 * two readings it says whether a stall was the machine's.
 */
export function stolenSeconds(): number {
  const [, ...ticks] = read('/proc/stat').split('\n', 1)[0]!.trim().split(/\s+/);
  return Number(ticks[STEAL] ?? 0) / TICKS_A_SECOND;
}

function family(pid: number): number[] {
  const found = [pid];
  for (const parent of found) {
    for (const thread of list(`/proc/${parent}/task`)) {
      const children = read(`/proc/${parent}/task/${thread}/children`).split(' ');
      found.push(...children.map(Number).filter((child) => child > 0));
    }
  }
  return found;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
