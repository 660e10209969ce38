import type { z } from 'zod';
import { type Issue, MillraceError } from '../base/errors.ts';

export type Path = readonly PropertyKey[];

/** Collects every mistake of a document, so that its author hears of all of them at once. */
export class Mistakes {
  readonly issues: Issue[] = [];

  add(path: Path, message: string): void {
    this.issues.push({ path: path.map(String).join('.'), message });
  }

  /** The value as the schema reads it, or `undefined` after its mistakes were noted. */
  check<S extends z.ZodType>(schema: S, value: unknown, path: Path): z.output<S> | undefined {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) this.#note(issue, path);
    return undefined;
  }

  #note(issue: z.core.$ZodIssue, above: Path): void {
    const path = [...above, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      // `strict` in document.ts writes one line for each unknown key.
      const messages = issue.message.split('\n');
      issue.keys.forEach((key, index) => {
        this.add([...path, key], messages[index] ?? 'is not known here');
      });
    } else if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const [nearest, ...asNear] = nearestOf(issue.errors);
      if (asNear.length === 0) for (const one of nearest!) this.#note(one, path);
      else this.add(path, [...new Set([nearest!, ...asNear].map(inOneLine))].join(', or '));
    } else {
      this.add(path, inPlainWords(issue.message));
    }
  }

  /** Fails with `bad-definition` when there are any. */
  throwIfAny(what: string): void {
    if (this.issues.length === 0) return;
    throw badDefinition(what, this.issues);
  }
}

const SHOWN_IN_DETAIL = 5;

/** One error for all the mistakes; the first few stand in its text, all of them in `issues`. */
export function badDefinition(what: string, issues: readonly Issue[]): MillraceError {
  const shown = issues.slice(0, SHOWN_IN_DETAIL).map(({ path, message }) => `${path}: ${message}`);
  const more = issues.length - shown.length;
  const count = issues.length === 1 ? 'a mistake' : `${issues.length} mistakes`;
  return new MillraceError(
    'bad-definition',
    `${what} has ${count}: ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    { issues },
  );
}

type Form = readonly z.core.$ZodIssue[];

/** The forms of a value, of several that it may have, that it comes nearest to: by what is wrong with it as each. */
function nearestOf(forms: readonly Form[]): readonly Form[] {
  const distances = forms.map(distanceOf);
  const least = Math.min(...distances);
  return forms.filter((_, index) => distances[index] === least);
}

/** A key of another form, or another type altogether, counts more than a slip; what is missing, once. */
function distanceOf(issues: Form): number {
  let distance = issues.some(isMissing) ? 1 : 0;
  for (const { code, path, message } of issues.filter((issue) => !isMissing(issue))) {
    if (code !== 'unrecognized_keys') distance += path.length === 0 ? 2 : 1;
    else for (const line of message.split('\n')) distance += line.includes('did you mean') ? 1 : 2;
  }
  return distance;
}

const isMissing = ({ message }: z.core.$ZodIssue): boolean => message.endsWith('received undefined');

const inOneLine = (issues: Form): string =>
  issues
    .map(({ path, message }) => [...path, inPlainWords(message).replaceAll('\n', ', ')].join(' '))
    .join(' and ');

const inPlainWords = (message: string): string =>
  message
    .replace(/^Invalid input: expected (.+), received undefined$/, 'is missing; $1 expected')
    .replace(/^Invalid (input|option): /, '');

/** A plain object of the document, or `undefined` after the mistake was noted. */
export function asObject(
  value: unknown,
  path: Path,
  mistakes: Mistakes,
): Record<string, unknown> | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  const received = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
  mistakes.add(
    path,
    value === undefined ? 'is missing; object expected' : `expected object, received ${received}`,
  );
  return undefined;
}
