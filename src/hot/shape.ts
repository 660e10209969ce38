/**
 * What is kept in memory of a rollup: its dimensions, and those of its states that merge exactly here. The engine's
 * sketches (unique, quantiles, top) are not among them.
 */
import {
  columnOf,
  type FieldType,
  fieldOf,
  type RollupDefinition,
  type StreamDefinition,
} from '../define/model.ts';
import { quoteIdentifier, rollupStates, type StateColumn } from '../store/index.ts';

export interface HotDimension {
  readonly column: string;
  readonly type: FieldType;
  readonly optional: boolean;
}

export interface HotState {
  /** The state's column in the rollup's table. */
  readonly name: string;
  readonly merge: 'sum' | 'min' | 'max';
  readonly value: 'whole' | 'float' | 'text';
  /** How a row carries it (rows.ts). */
  readonly wire: 'u64' | 'i128' | 'i256' | 'f64' | 'text';
  readonly optional: boolean;
  /** SQL of what travels, over the state's column. */
  readonly select: string;
  /** Aggregate expression over stored events. */
  readonly fromEvents: string;
  /** The same for a single event. */
  readonly fromEvent: string;
}

export interface HotShape {
  readonly everySeconds: number;
  readonly dimensions: readonly HotDimension[];
  readonly states: readonly HotState[];
}

export function shapeOf(stream: StreamDefinition, rollup: RollupDefinition): HotShape {
  const dimensions = rollup.by.map((name): HotDimension => {
    const field = fieldOf(stream, name);
    if (!field) throw new Error(`stream ${stream.name} has no field ${name}`);
    return { column: columnOf(field), type: field.type, optional: field.optional };
  });
  return {
    everySeconds: rollup.everySeconds,
    dimensions,
    states: rollupStates(stream, rollup).flatMap((state) => hotState(state) ?? []),
  };
}

function hotState({ name, type, fromEvents, fromEvent }: StateColumn): HotState | undefined {
  const match = /^SimpleAggregateFunction\((sum|min|max), (Nullable\()?(\w+)(?:\((.*?)\))?/.exec(type);
  if (!match || fromEvent === undefined) return undefined;
  const [, merge, nullable, kind, args] = match;
  const optional = nullable !== undefined;
  const common = { name, merge: merge as HotState['merge'], optional, fromEvents, fromEvent };
  const column = quoteIdentifier(name);
  const cast = (to: string, value = column): string =>
    `CAST(${value}, '${optional ? `Nullable(${to})` : to}')`;
  switch (kind) {
    case 'UInt64':
      if (optional) return { ...common, value: 'whole', wire: 'i128', select: cast('Int128') };
      return { ...common, value: 'whole', wire: 'u64', select: cast('UInt64') };
    case 'Int32':
    case 'Int64':
    case 'Int128':
      return { ...common, value: 'whole', wire: 'i128', select: cast('Int128') };
    case 'Decimal': {
      const [precision = 0, scale = 0] = args!.split(',').map(Number);
      if (precision <= 38)
        return { ...common, value: 'whole', wire: 'i128', select: cast(`Decimal(38, ${scale})`) };
      return { ...common, value: 'whole', wire: 'i256', select: column };
    }
    case 'DateTime64': {
      const select = cast('Int128', `toUnixTimestamp64Milli(${column})`);
      return { ...common, value: 'whole', wire: 'i128', select };
    }
    case 'Float64':
      return { ...common, value: 'float', wire: 'f64', select: cast('Float64') };
    case 'String':
      return { ...common, value: 'text', wire: 'text', select: cast('String') };
    default:
      return undefined;
  }
}

/** A dimension's value as text: moments as epoch ms, addresses as the engine writes IPv6, everything else as people do. */
export function dimensionText({ column, type }: HotDimension): string {
  const quoted = quoteIdentifier(column);
  const value = type.kind === 'timestamp' ? `toUnixTimestamp64Milli(${quoted})` : quoted;
  return `toString(${value})`;
}
