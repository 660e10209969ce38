/** The events of a simulation, as lines, and what a store makes of them under a definition. */
import { fieldOf, type StreamDefinition } from '../../src/define/model.ts';

export interface ParsedLine {
  /** 0: can be stored. */
  readonly code: number;
  readonly id: number;
  readonly timeMs: number;
  readonly key: string;
  readonly value: number;
}

export interface SentEvent {
  readonly id: number;
  readonly atMs: number;
  readonly key: string;
  readonly value: number;
  readonly broken: boolean;
}

/** `serial` makes each line that is ever sent another one. */
export const lineOf = ({ id, atMs, key, value, broken }: SentEvent, serial: number): string =>
  `{"id":${id},"at":${atMs},"k":"${key}","v":${value},"n":${serial}${broken ? '' : '}'}`;

const UNREADABLE = { id: 0, timeMs: 0, key: '', value: 0 };

export function parseLine(line: string, stream: StreamDefinition): ParsedLine {
  if (!line.endsWith('}')) return { code: 1, ...UNREADABLE };
  const { id, at, k, v } = JSON.parse(line) as { id: number; at: number; k: string; v: number };
  const type = fieldOf(stream, 'k')!.type;
  const fits = type.kind === 'string' && k.length <= (type.maxLength ?? Number.POSITIVE_INFINITY);
  return { code: fits ? 0 : 2, id, timeMs: at, key: k, value: v };
}
