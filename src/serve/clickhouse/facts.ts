/** What is the same for everybody: read from the engine once, and cut to what a question may use. */
import { isAllowedFunction, isValueType } from '../../sql/index.ts';
import type { Engine } from '../../store/index.ts';
import { FORMAT_NAMES } from './formats.ts';

export interface FunctionFact {
  readonly name: string;
  readonly is_aggregate: number;
  readonly case_insensitive: number;
  readonly alias_to: string;
}

export interface TypeFact {
  readonly name: string;
  readonly case_insensitive: number;
  readonly alias_to: string;
}

export interface Facts {
  readonly version: string;
  readonly timezone: string;
  readonly functions: readonly FunctionFact[];
  readonly types: readonly TypeFact[];
  readonly formats: readonly string[];
  readonly zones: readonly string[];
}

/** Fails as the engine does; a failure is not remembered. */
export function createFacts(engine: Pick<Engine, 'rows'>): () => Promise<Facts> {
  let known: Promise<Facts> | undefined;
  return () => {
    known ??= read(engine).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

async function read(engine: Pick<Engine, 'rows'>): Promise<Facts> {
  const [server] = await engine.rows<{ version: string; timezone: string }>({
    text: 'SELECT version() AS version, timezone() AS timezone',
  });
  const functions = await engine.rows<FunctionFact>({
    text: 'SELECT name, is_aggregate, case_insensitive, alias_to FROM system.functions ORDER BY name',
  });
  const types = await engine.rows<TypeFact>({
    text: 'SELECT name, case_insensitive, alias_to FROM system.data_type_families ORDER BY name',
  });
  return {
    version: server?.version ?? '',
    timezone: server?.timezone ?? 'UTC',
    functions: functions.filter(({ name }) => isAllowedFunction(name)),
    types: types.filter(({ name }) => isValueType(name)),
    formats: FORMAT_NAMES,
    zones: Intl.supportedValuesOf('timeZone'),
  };
}
