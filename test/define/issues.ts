import { MillraceError } from '../../src/base/errors.ts';

/** The mistakes that a call reports, `PATH: MESSAGE` each. */
export function mistakesOf(call: () => unknown): string[] {
  try {
    call();
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'bad-definition') {
      return error.issues.map(({ path, message }) => `${path}: ${message}`);
    }
    throw error;
  }
  return [];
}
