/** Orders of merchants: a report every ten minutes, with what is known of the merchants. */
import { defineReport, defineStream, defineTable, t } from 'millrace';

export const orders = defineStream('orders', {
  fields: {
    order_id: t.string({ maxLength: 64 }),
    at: t.timestamp(),
    merchant_id: t.string({ maxLength: 32 }),
    amount: t.decimal(12, 2),
    state: t.enum('paid', 'refunded'),
  },
  eventId: 'order_id', // a shop that sends again is counted once
  eventTime: 'at',
  partitionBy: 'merchant_id',
});

export const merchants = defineTable('merchants', {
  key: 'merchant_id',
  fields: { merchant_id: t.string({ maxLength: 32 }), name: t.string(), country: t.string() },
});

const ofThePeriod = 'o.at >= {from:DateTime64(3)} AND o.at < {to:DateTime64(3)}';

/** At 12:11 it is about 12:00 to 12:10: a minute for orders that are on their way, and far less than an hour behind. */
export const merchantReport = defineReport('merchant_report', {
  title: 'Merchants, every ten minutes',
  questions: {
    merchants: {
      sql: `
        SELECT o.merchant_id AS merchant_id, m.name AS name, sumIf(o.amount, o.state = 'paid') AS paid,
               countIf(o.state = 'paid') AS orders, sumIf(o.amount, o.state = 'refunded') AS refunded
        FROM orders AS o LEFT JOIN merchants AS m ON m.merchant_id = o.merchant_id
        WHERE ${ofThePeriod}
        GROUP BY merchant_id, name
        ORDER BY paid DESC`,
      chart: 'bar',
    },
    countries: {
      stream: orders,
      stats: { fn: ['count', 'sum(amount)'], by: 'merchants.country', where: 'state:eq:paid' },
      chart: 'bar',
    },
    course: {
      stream: orders,
      stats: { fn: 'sum(amount)', every: '1m', where: 'state:eq:paid' },
      chart: 'line',
    },
  },
  period: '10m',
  cron: '*/10 * * * *',
  delay: '1m',
  retention: '30d',
});
