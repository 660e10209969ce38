/**
 * What `work` gives; as soon as `signal` aborts it fails with `why`, the signal's reason unless said otherwise. The work itself
 * goes on, and nobody hears of it.
 */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  why: () => unknown = () => signal.reason,
): Promise<T> {
  let leave: () => void;
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(why());
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', leave!);
  }
}
