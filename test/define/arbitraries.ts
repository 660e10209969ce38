import fc from 'fast-check';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { NUMBER_KINDS, ORDERED_KINDS, SCALAR_KINDS } from '../../src/define/kinds.ts';
import { type Field, fieldOf, type RollupDefinition, type StreamDefinition } from '../../src/define/model.ts';

const fieldName = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,20}$/);
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/);
const duration = (from: number, to: number) =>
  fc.oneof(
    fc.integer({ min: from, max: to }).map((seconds) => `${seconds}s`),
    fc.integer({ min: from * 1_000, max: to * 1_000 }).map((ms) => `${ms}ms`),
  );
const maybe = <T>(key: string, value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined }).map((one) => (one === undefined ? {} : { [key]: one }));

const scalar = fc.oneof(
  fc.constantFrom('bool', 'int32', 'int64', 'uint64', 'float64', 'string', 'timestamp', 'uuid', 'ip'),
  fc.integer({ min: 1, max: 9_000 }).map((maxLength) => ({ type: 'string', maxLength })),
  fc
    .tuple(fc.integer({ min: 1, max: 38 }), fc.nat(38))
    .map(([precision, scale]) => ({ type: 'decimal', precision, scale: Math.min(scale, precision) })),
  fc
    .uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 })
    .map((values) => ({ type: 'enum', values })),
);
const field = fc
  .tuple(
    fc.oneof(
      scalar,
      fc.constant('json'),
      scalar.map((of) => ({ type: 'array', of })),
    ),
    fc.boolean(),
  )
  .map(([type, optional]) => {
    if (!optional) return type;
    return typeof type === 'string' ? { type, optional } : { ...type, optional };
  });

/** A stream as somebody might write it, parsed. */
export const stream: fc.Arbitrary<StreamDefinition> = fc
  .record({
    name,
    fields: fc.dictionary(fieldName, field, { minKeys: 1, maxKeys: 8, noNullPrototype: true }),
    id: fc.option(fieldName),
    time: fc.option(fieldName),
    rest: fc
      .tuple(
        maybe('partitions', fc.integer({ min: 1, max: 64 })),
        maybe(
          'dedupe',
          fc.oneof(
            fc.constant(false),
            fc
              .tuple(duration(1, 86_400), maybe('rate', fc.integer({ min: 1, max: 1e9 })))
              .map(([within, rate]) => ({ within, ...rate })),
          ),
        ),
        maybe(
          'lateness',
          fc
            .tuple(duration(0, 9_999), maybe('then', fc.constantFrom('count', 'quarantine', 'drop')))
            .map(([allowed, then]) => ({ allowed, ...then })),
        ),
        maybe('future', duration(1, 999_999)),
        maybe(
          'retention',
          fc
            .tuple(
              maybe('log', duration(60, 999_999)),
              maybe('hot', duration(86_400, 999_999_999)),
              maybe('cold', duration(60, 999_999_999)),
              maybe('quarantine', duration(60, 999_999_999)),
            )
            .map((parts) => Object.assign({}, ...parts)),
        ),
      )
      .map((parts) => Object.assign({}, ...parts)),
  })
  .map((one) => ({
    ...one,
    id: one.id !== null && Object.hasOwn(one.fields, one.id) ? null : one.id,
    time: one.time === one.id || (one.time !== null && Object.hasOwn(one.fields, one.time)) ? null : one.time,
  }))
  .map((one) =>
    parseStream(one.name, {
      fields: {
        ...one.fields,
        ...(one.id === null ? {} : { [one.id]: 'uint64' }),
        ...(one.time === null ? {} : { [one.time]: 'timestamp' }),
      },
      ...(one.id === null ? {} : { eventId: one.id, partitionBy: one.id }),
      ...(one.time === null ? {} : { eventTime: one.time }),
      ...one.rest,
    }),
  );

const named = (definition: StreamDefinition, kinds: readonly string[]): readonly Field[] =>
  definition.fields.filter((one) => kinds.includes(one.type.kind));

/** A rollup that fits the stream. */
export const rollupOf = (definition: StreamDefinition): fc.Arbitrary<RollupDefinition> => {
  const calls = [
    'count()',
    ...named(definition, NUMBER_KINDS).flatMap((one) => [
      `sum(${one.name})`,
      `avg( ${one.name} )`,
      `p99.9(${one.name})`,
    ]),
    ...named(definition, ORDERED_KINDS).flatMap((one) => [`min(${one.name})`, `max(${one.name})`]),
    ...named(definition, SCALAR_KINDS).flatMap((one) => [`unique(${one.name})`, `top(${one.name}, 7)`]),
  ];
  const dimensions = named(definition, SCALAR_KINDS)
    .filter((one) => one.type.kind !== 'float64')
    .map((one) => one.name);
  return fc
    .record({
      name,
      by: fc.subarray(dimensions, { maxLength: Math.min(16, dimensions.length) }),
      every: fc.constantFrom('1s', '10s', '1m', '60s', '300s', '10m', '15m', '1h', '1d', '24h'),
      hot: fc.option(fc.oneof(fc.constant(false as const), duration(0, 2_592_000)), { nil: undefined }),
      measures: fc.dictionary(
        fieldName.filter((one) => fieldOf(definition, one) === undefined),
        fc.constantFrom(...calls),
        { minKeys: 1, maxKeys: 10, noNullPrototype: true },
      ),
    })
    .map((one) =>
      parseRollup(
        one.name,
        {
          ...{ from: definition.name, by: one.by, every: one.every, measures: one.measures },
          ...(one.hot === undefined ? {} : { hot: one.hot }),
        },
        () => definition,
      ),
    );
};
