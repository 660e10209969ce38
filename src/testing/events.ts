/** Events as networks deliver them: out of order, twice, late. Pure, and the same for the same seed. */

/** Numbers in [0, 1): mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The same events in another order.
 *
 * @example
 * await app.send('orders', shuffled(orders));
 */
export function shuffled<E>(events: readonly E[], seed = 1): E[] {
  const random = randomOf(seed);
  const mixed = [...events];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
  }
  return mixed;
}

/**
 * The same events, and a share of them once more, anywhere behind their first time: what a producer sends that has not
 * heard the answer. They are duplicates when the stream has an `eventId`.
 *
 * @example
 * const { duplicates } = await app.send('orders', repeated(orders, { share: 0.2 }));
 */
export function repeated<E>(
  events: readonly E[],
  { share = 0.5, seed = 1 }: { readonly share?: number; readonly seed?: number } = {},
): E[] {
  const random = randomOf(seed);
  const waiting: E[] = [];
  const sent: E[] = [];
  for (const event of events) {
    sent.push(event);
    if (random() < share) waiting.push(event);
    while (waiting.length > 0 && random() < 0.3)
      sent.push(...waiting.splice(Math.floor(random() * waiting.length), 1));
  }
  return [...sent, ...waiting];
}

/**
 * A share of the events comes late: those that come in time, and the stragglers, to be sent when the clock has moved on.
 *
 * @example
 * const { inTime, late } = straggling(alarms, { share: 0.1 });
 * await app.send('alarms', inTime);
 * await app.advance('10m');
 * await app.send('alarms', late);
 */
export function straggling<E>(
  events: readonly E[],
  { share = 0.1, seed = 1 }: { readonly share?: number; readonly seed?: number } = {},
): { readonly inTime: E[]; readonly late: E[] } {
  const random = randomOf(seed);
  const inTime: E[] = [];
  const late: E[] = [];
  for (const event of events) (random() < share ? late : inTime).push(event);
  return { inTime, late };
}
