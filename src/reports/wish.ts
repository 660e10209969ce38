/** What a run is asked for, checked. */
import { MillraceError } from '../base/errors.ts';
import type { ReportDefinition } from '../define/model.ts';
import type { ReportParameters, RunWish } from './port.ts';
import type { Period } from './schedule.ts';

/** Longer than a century is a slip. */
const PERIOD_MS_MAX = 100 * 366 * 86_400_000;

export function periodOf(
  definition: Pick<ReportDefinition, 'period'>,
  { fromMs, toMs }: RunWish,
  newest: () => Period,
): Period {
  if (fromMs === undefined && toMs === undefined) return newest();
  if (fromMs === undefined || toMs === undefined)
    refuse('from', `write both from and to, or neither for the newest ${definition.period}`);
  if (fromMs >= toMs) refuse('from', 'must lie before "to", which is not part of the period');
  if (toMs - fromMs > PERIOD_MS_MAX) refuse('from', 'a period is a century at most');
  return { fromMs, toMs };
}

/** The report's own parameters with what was asked for in their places. */
export function parametersOf(
  { parameters }: Pick<ReportDefinition, 'parameters'>,
  asked: ReportParameters = {},
): ReportParameters {
  for (const [name, value] of Object.entries(asked)) {
    const usual = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (usual === undefined) {
      const names = Object.keys(parameters);
      const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
      refuse(`parameters.${name}`, `is no parameter of the report: ${known}`);
    }
    if (typeof usual !== typeof value) refuse(`parameters.${name}`, `must be a ${typeof usual}`);
  }
  return { ...parameters, ...asked };
}

function refuse(path: string, message: string): never {
  throw new MillraceError('bad-question', `${path}: ${message}`, { issues: [{ path, message }] });
}
