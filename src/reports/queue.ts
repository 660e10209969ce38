/** Who runs next: one run at a time for each tenant, few at once over all, tenants in turn. */
import type { TenantId } from '../base/brand.ts';
import type { OpenRun } from './records.ts';

export interface Running {
  readonly open: OpenRun;
  readonly end: AbortController;
  isCancelled: boolean;
  done: Promise<void>;
}

interface Line {
  waiting: OpenRun[];
  running: Running | undefined;
}

const AT_ONCE = 2;

export class ReportQueue {
  readonly #lines = new Map<TenantId, Line>();
  readonly #work: (tenant: TenantId, running: Running) => Promise<void>;
  #underWay = 0;
  #isStopped = false;

  /** `work` must not reject. */
  constructor(work: (tenant: TenantId, running: Running) => Promise<void>) {
    this.#work = work;
  }

  get waiting(): number {
    return [...this.#lines.values()].reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  get running(): number {
    return this.#underWay;
  }

  waitingOf = (tenant: TenantId): readonly OpenRun[] => this.#lines.get(tenant)?.waiting ?? [];
  runningOf = (tenant: TenantId): Running | undefined => this.#lines.get(tenant)?.running;

  add(tenant: TenantId, open: OpenRun): void {
    const line = this.#lines.get(tenant) ?? { waiting: [], running: undefined };
    this.#lines.set(tenant, line);
    line.waiting.push(open);
    this.#next();
  }

  /** Those that have not begun leave the line. */
  takeBack(tenant: TenantId, fits: (open: OpenRun) => boolean): readonly OpenRun[] {
    const line = this.#lines.get(tenant);
    if (!line) return [];
    const taken = line.waiting.filter(fits);
    line.waiting = line.waiting.filter((open) => !fits(open));
    return taken;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const all = [...this.#lines.values()].flatMap(({ running }) => running ?? []);
    for (const { end } of all) end.abort();
    await Promise.all(all.map(({ done }) => done));
  }

  #next(): void {
    if (this.#isStopped) return;
    for (const [tenant, line] of [...this.#lines]) {
      if (this.#underWay >= AT_ONCE) return;
      if (line.running !== undefined) continue;
      const open = line.waiting.shift();
      if (open === undefined) {
        this.#lines.delete(tenant);
        continue;
      }
      // To the end of the round: the others come first next time.
      this.#lines.delete(tenant);
      this.#lines.set(tenant, line);
      this.#underWay += 1;
      const running: Running = {
        ...{ open, end: new AbortController(), isCancelled: false, done: Promise.resolve() },
      };
      line.running = running;
      running.done = this.#work(tenant, running).then(() => {
        line.running = undefined;
        this.#underWay -= 1;
        this.#next();
      });
    }
  }
}
