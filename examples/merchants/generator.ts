/** Made-up orders, the same for the same seed. */
export interface Order {
  readonly order_id: string;
  readonly at: Date;
  readonly merchant_id: string;
  /** Decimal, as text: no digit passes through a binary fraction. */
  readonly amount: string;
  readonly state: 'paid' | 'refunded';
}

export const merchantList = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    merchant_id: `m${at + 1}`,
    name: `Shop ${at + 1}`,
    country: ['de', 'fr', 'at'][at % 3]!,
  }));

/** `count` orders whose times are spread evenly over `[fromMs, toMs)`. */
export function* ordersOf(options: {
  readonly count: number;
  readonly merchants: number;
  readonly fromMs: number;
  readonly toMs: number;
}): Generator<Order> {
  const { count, merchants, fromMs, toMs } = options;
  let state = 1;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let at = 0; at < count; at += 1) {
    const cents = 199 + below(20_000);
    yield {
      order_id: `order-${at}`,
      at: new Date(fromMs + Math.floor(((toMs - fromMs) * at) / count)),
      merchant_id: `m${below(merchants) + 1}`,
      amount: `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`,
      state: below(12) === 0 ? 'refunded' : 'paid',
    };
  }
}
