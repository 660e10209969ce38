/**
 * A guest runs statements of people we do not know. Each has a session of its own, made for one question and closed
 * behind it: it can only read, has its limits set before it is made read-only for good, and leaves nothing behind for
 * the next. What reaches the engine has been decided before (src/sql); this is the second door.
 *
 *     open ──SET ROLE──SET limits──SET readonly=1──▶ statements that read, one after the other ──▶ closed
 *                                               │ signal: KILL QUERY until the statement ends
 */
import type { Session } from 'chdb';
import { MillraceError } from '../base/errors.ts';
import { keepFirst } from '../base/first-thread.ts';
import { checkGuestStatement } from './guest-statement.ts';
import type { Guest, GuestLimits, Statement } from './port.ts';
import { NICE_MOST } from './reading-places.ts';
import { parameterSettings, quoteSetting, setAll, settingOf } from './session-parameters.ts';

export interface GuestParts {
  readonly session: Session;
  /** Ends the statement that runs under the guest's label, if one does. */
  readonly kill: () => Promise<void>;
  readonly explain: (cause: unknown) => Error;
  readonly onClosed: () => void;
}

interface Chunk {
  readonly numRows: number;
  raw(): Uint8Array;
}

/** Kills take some 30 ms each; a statement that outlives them all ends by its time limit. */
export const KILLS_MAX = 200;

/** Everything is set on the session before `readonly`, which forbids to set anything again. */
export function guestSettings(limits: GuestLimits, label: string): string {
  return [
    `max_execution_time=${limits.timeoutSeconds}`,
    `max_memory_usage=${limits.memoryBytesMax}`,
    `max_rows_to_read=${limits.readRowsMax ?? 0}`,
    `max_result_rows=${limits.resultRowsMax ?? 0}`,
    `max_result_bytes=${limits.resultBytesMax}`,
    "result_overflow_mode='throw'",
    // What does not fit into memory goes to disk: that ends somewhere, too.
    `max_temporary_data_on_disk_size_for_query=${limits.memoryBytesMax}`,
    'max_threads=1',
    `os_threads_nice_value_query=${NICE_MOST}`,
    `max_query_size=${limits.statementBytesMax ?? 2 ** 20}`,
    // A parser that goes back again and again takes seconds over a few thousand words.
    'max_parser_backtracks=20000',
    'max_parser_depth=300',
    'max_ast_elements=20000',
    'max_expanded_ast_elements=50000',
    'max_subquery_depth=50',
    'function_range_max_elements_in_block=10000000',
    // A question is wrapped to bind its names: its order must not look needless for that.
    'query_plan_remove_redundant_sorting=0',
    'allow_ddl=0',
    'allow_introspection_functions=0',
    'output_format_json_validate_utf8=1',
    'output_format_json_escape_forward_slashes=0',
    // A chunk of an answer is a document in its format; these keep documents so that they can be joined.
    "output_format_arrow_compression_method='none'",
    'output_format_parquet_write_page_index=0',
    'output_format_parquet_write_bloom_filter=0',
    ...Object.entries(limits.settings ?? {}).map(([name, value]) => `${name}=${literal(value)}`),
    ...Object.entries(limits.params ?? {}).map(([name, value]) => `${settingOf(name)}=${literal(value)}`),
    `log_comment='${label}'`,
    'readonly=1',
  ].join(', ');
}

const literal = (value: string | number): string =>
  typeof value === 'number' ? String(value) : quoteSetting(value);

export function createGuest({ session, kill, explain, onClosed }: GuestParts): Guest {
  let running: Promise<unknown> | undefined;
  let left = false;
  let closed: Promise<void> | undefined;

  /** Runs one native operation at a time; the session may not be closed under it. */
  const track = async <T>(work: () => Promise<T>): Promise<T> => {
    if (left) throw explain(new Error('Code: 394. DB::Exception: Query was cancelled'));
    const operation = work();
    running = operation.catch(() => undefined);
    try {
      return await operation;
    } catch (cause) {
      throw explain(cause);
    } finally {
      running = undefined;
    }
  };

  const check = ({ text }: Statement): void => {
    const mistake = checkGuestStatement(text);
    if (mistake !== undefined)
      throw new MillraceError('bad-question', `This question is not allowed: ${mistake}.`);
  };

  /** A kill that comes before the engine knows the statement finds nothing: it is sent until the statement ends. */
  const killUntilEnded = async (): Promise<void> => {
    for (let kills = 0; running !== undefined && kills < KILLS_MAX; kills += 1) await kill();
    await running;
  };

  const close = async (): Promise<void> => {
    left = true;
    await killUntilEnded();
    session.close();
    onClosed();
  };

  return {
    query: (statement, format) =>
      track(async () => {
        check(statement);
        onThisThread(() => setAll(session, parameterSettings(statement)));
        return (await session.queryAsync(statement.text, { format })).bytes();
      }),
    async *stream(statement, format, onRows) {
      check(statement);
      if (left) throw explain(new Error('Code: 394. DB::Exception: Query was cancelled'));
      let chunks: AsyncIterator<Chunk>;
      try {
        chunks = onThisThread(() => {
          setAll(session, parameterSettings(statement));
          return session.queryStream(statement.text, { format })[Symbol.asyncIterator]();
        });
      } catch (cause) {
        throw explain(cause);
      }
      let ended = false;
      try {
        while (!ended) {
          const step: IteratorResult<Chunk> = await track(() => chunks.next()).catch((error) => {
            ended = true;
            throw error;
          });
          if (step.done === true) ended = true;
          else {
            onRows?.(step.value.numRows);
            yield step.value.raw();
          }
        }
      } finally {
        // Left in the middle: the engine's own cancel would hold up the event loop while it computes.
        if (!ended) {
          await kill();
          running = endOf(chunks);
          await running;
          running = undefined;
        }
      }
    },
    leave: () => {
      left = true;
      void killUntilEnded();
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

/** A statement that the engine runs here lends this thread the nice value of guests and takes it back to 0, not to what it was. */
function onThisThread<Result>(work: () => Result): Result {
  try {
    return work();
  } finally {
    keepFirst();
  }
}

/** Takes what a killed statement still has, until its end or its error. */
async function endOf(chunks: AsyncIterator<unknown>): Promise<void> {
  try {
    while ((await chunks.next()).done !== true);
  } catch {
    // Killed, as it should be.
  }
}
