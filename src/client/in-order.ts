/**
 * Works on at most `concurrency` items at a time and gives the results in the order of the items. The next item
 * is not even fetched before there is room for it. The first failure ends everything.
 */
export async function* inOrder<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  concurrency: number,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
  signal?: AbortSignal,
): AsyncGenerator<Result> {
  const failed = new AbortController();
  const stop = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const underWay: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      stop.throwIfAborted();
      const result = work(item, stop);
      // Awaited later, in its turn; until then its failure must not count as unhandled.
      result.catch((error) => failed.abort(error));
      underWay.push(result);
      while (underWay.length >= concurrency) yield await underWay.shift()!;
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } catch (error) {
    // What was stopped because another one failed reports the failure itself.
    throw failed.signal.aborted ? failed.signal.reason : error;
  } finally {
    failed.abort(new Error('stopped'));
    await Promise.allSettled(underWay);
  }
}
