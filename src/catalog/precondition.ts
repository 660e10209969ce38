import { MillraceError } from '../base/errors.ts';
import type { DefinitionKind } from '../define/model.ts';

/**
 * Fails with `precondition-failed` when the caller has read another version than the one that stands.
 * 0 stands for "there is none".
 */
export function refuseUnlessVersion(
  kind: DefinitionKind | 'tenant' | 'key',
  name: string,
  standing: number,
  ifVersion: number | undefined,
): void {
  if (ifVersion === undefined || ifVersion === standing) return;
  throw new MillraceError('precondition-failed', why(kind, name, standing, ifVersion));
}

function why(kind: string, name: string, standing: number, ifVersion: number): string {
  if (ifVersion === 0) return `the ${kind} "${name}" exists already, as version ${standing}`;
  if (standing === 0) return `there is no ${kind} "${name}" any more; you read version ${ifVersion}`;
  return `the ${kind} "${name}" is at version ${standing}, you read version ${ifVersion}; read it again and repeat the change`;
}
