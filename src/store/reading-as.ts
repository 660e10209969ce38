import type { Engine, QueryLimits } from './port.ts';

/** The same engine, whose reading statements are of a class or a tenant, or yield, where they do not say otherwise. */
export function readingAs<Some extends Engine>(
  engine: Some,
  as: Pick<QueryLimits, 'reading' | 'tenant' | 'yields' | 'narrow'>,
): Engine {
  return {
    execute: (statement, options) => engine.execute(statement, options),
    query: (statement, format, limits) => engine.query(statement, format, { ...as, ...limits }),
    stream: (statement, format, limits) => engine.stream(statement, format, { ...as, ...limits }),
    rows: (statement, limits) => engine.rows(statement, { ...as, ...limits }),
    close: () => engine.close(),
  };
}
