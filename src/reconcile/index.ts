import { MillraceError } from '../base/errors.ts';
import type { Run } from '../runs/port.ts';
import type { ReconcileParts } from './parts.ts';
import type { ReconcileReport, Reconciler } from './port.ts';
import { rollupsOf, streamOf } from './scope.ts';
import { giveUp, reconcile } from './work.ts';

export type { ReconcileParts } from './parts.ts';
export type * from './port.ts';
export { startReconcileSchedule } from './schedule.ts';

/** Registers reconciliations with the runs. */
export function createReconciler(parts: ReconcileParts): Reconciler {
  const { runs } = parts;
  runs.register('reconcile', (run, context) => reconcile(parts, run, context), {
    giveUp: (run) => giveUp(parts, run),
  });
  return {
    start: async (tenant, name, request) => {
      streamOf(parts, tenant, name);
      rollupsOf(parts, tenant, name, request.rollups);
      const [running] = runs.unended(tenant, { stream: name, kind: 'reconcile', state: 'running' });
      if (running) {
        throw new MillraceError(
          'conflict',
          `the stream ${name} is being reconciled already: wait for the run ${running.id}, or cancel it`,
        );
      }
      return runs.start({ tenant, kind: 'reconcile', stream: name, request });
    },
    newest: async (tenant, stream) => {
      const [run] = await runs.list(tenant, { stream, kind: 'reconcile', state: 'done', limit: 1 });
      return run && { run, report: reportOf(run) };
    },
  };
}

const reportOf = (run: Run): ReconcileReport => run.result as ReconcileReport;
