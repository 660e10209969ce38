/** What `MILLRACE_CATALOG` may say. It may hold a password: nothing here ever shows it. */
import { MillraceError } from '../base/errors.ts';
import { parsePostgresUrl } from './postgres-url.ts';

export const isPostgres = (setting: string): boolean => /^postgres(ql)?:/i.test(setting);

/** What is wrong with the setting; undefined when it is understood. */
export function catalogMistake(setting: string): string | undefined {
  if (/^sqlite:$/i.test(setting)) return undefined;
  if (!isPostgres(setting)) return 'must be sqlite: or postgres://USER:PASSWORD@HOST:5432/DATABASE';
  try {
    parsePostgresUrl(setting);
    return undefined;
  } catch (error) {
    return error instanceof MillraceError
      ? error.message.replace(/^MILLRACE_CATALOG /, '')
      : 'is not understood';
  }
}
