/** Compare-and-set over HTTP (RFC 9110, section 13): the ETag of a definition is its version. */
import { MillraceError } from '../base/errors.ts';

export const etagOf = (version: number): string => `"${version}"`;

export interface Conditions {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

export const conditionsOf = (headers: Readonly<Record<string, unknown>>): Conditions => ({
  ifMatch: headers['if-match'] as string | undefined,
  ifNoneMatch: headers['if-none-match'] as string | undefined,
});

const tagsOf = (header: string): readonly string[] => header.split(',').map((tag) => tag.trim());

/**
 * The version that must stand for a change to happen; 0: it must not exist; undefined: any. Fails with
 * `precondition-failed` or `bad-request`.
 */
export function requiredVersion(conditions: Conditions, current: number | undefined): number | undefined {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch.trim() !== '*') {
      throw new MillraceError(
        'bad-request',
        'A change understands only "If-None-Match: *" (must not exist yet).',
      );
    }
    if (current !== undefined) throw failed(`it exists already, as version ${current}`);
    return 0;
  }
  if (ifMatch === undefined) return undefined;
  if (current === undefined) throw failed('it does not exist');
  const tags = tagsOf(ifMatch);
  const bad = tags.find((tag) => tag !== '*' && !/^"\d{1,15}"$/.test(tag));
  if (bad !== undefined) {
    throw new MillraceError(
      'bad-request',
      `${bad} is not an ETag of ours; send it as it came, for example "3".`,
    );
  }
  if (!tags.includes('*') && !tags.includes(etagOf(current))) throw failed(`version ${current} stands`);
  return current;
}

const failed = (why: string) =>
  new MillraceError(
    'precondition-failed',
    `Nothing was changed: ${why}. Read it again and repeat your change.`,
  );

/** True when the reader has this version already. */
export function isKnown(ifNoneMatch: string | undefined, version: number): boolean {
  return (
    ifNoneMatch !== undefined &&
    tagsOf(ifNoneMatch).some((tag) => tag === '*' || tag.replace(/^W\//, '') === etagOf(version))
  );
}
