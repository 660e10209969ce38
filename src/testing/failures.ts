/** What the system says to its log as an error; a test fails with it instead of waiting for something that never comes. */
import pino, { type Logger } from 'pino';

export interface Failures {
  readonly logger: Logger;
  /** Throws with what was said since it was last called. */
  throwIfAny(): void;
  forget(): void;
}

const SAID_MAX = 20;

export function createFailures(): Failures {
  let said: string[] = [];
  const write = (line: string): void => {
    if (said.length < SAID_MAX) said.push(wordsOf(line));
  };
  return {
    logger: pino({ level: 'error' }, { write }),
    throwIfAny: () => {
      const [first, ...more] = said;
      said = [];
      if (first === undefined) return;
      throw new Error([first, ...more].join('\n'));
    },
    forget: () => {
      said = [];
    },
  };
}

function wordsOf(line: string): string {
  const { msg, err } = JSON.parse(line) as {
    readonly msg?: string;
    readonly err?: { readonly message: string };
  };
  return [msg, err?.message].filter((words) => words !== undefined).join(': ');
}
