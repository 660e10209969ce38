import type { Runs } from '../runs/port.ts';
import { guardExpression } from '../sql/index.ts';
import { forecast } from './forecast.ts';
import type { QuarantineReplay } from './port.ts';
import { executeReplay, type ReplayParts } from './replay.ts';

export type * from './port.ts';

/** Registers the replay of quarantined and of late records with the runs. Fixes are checked before a run is entered. */
export function createQuarantineReplay(parts: ReplayParts & { readonly runs: Runs }): QuarantineReplay {
  const { runs, area } = parts;
  for (const kind of ['replay-quarantine', 'replay-late'] as const)
    runs.register(kind, (run, context) => executeReplay(parts, run, context));
  return {
    forecast: (tenant, stream, request) => forecast(parts, tenant, stream, request),
    start: async (tenant, stream, request) => {
      if (request.fix !== undefined) await guardExpression(area.engine, request.fix, 'quarantined');
      const kind = request.late ? 'replay-late' : 'replay-quarantine';
      return runs.start({ tenant, kind, stream, request });
    },
  };
}
