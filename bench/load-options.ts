/** What the load generator is told, as values and as the flags of its command line. */
import { parseArgs } from 'node:util';

export interface LoadOptions {
  /** `http://HOST:PORT` */
  readonly url: string;
  readonly key: string;
  readonly stream: string;
  /** For whom the operator's key acts; '': its own tenant. */
  readonly tenant: string;
  /** `single`: one JSON object a request; `batch`: `batch` lines of NDJSON a request. */
  readonly mode: 'single' | 'batch';
  readonly batch: number;
  readonly eventBytes: number;
  readonly connections: number;
  /** Events a second on a fixed schedule, or as many as the answers allow. */
  readonly rate: number | 'max';
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Share of events that carry the id of an event that was acknowledged before, 0 to 1. */
  readonly duplicates: number;
  readonly ack: 'none' | 'durable' | 'stored';
  /** Makes the ids of this run differ from those of every other: 32 bits. */
  readonly run: number;
}

export interface LoadReport {
  /** When the first request left, epoch ms. */
  readonly startedAtMs: number;
  /** Events in requests that were sent, from the first to the last, warm-up included. */
  readonly sentEvents: number;
  /** Events in requests that were answered 2xx. */
  readonly acceptedEvents: number;
  /** How many of the accepted were sent as duplicates on purpose. */
  readonly duplicateEvents: number;
  readonly answered2xx: number;
  readonly answered429: number;
  readonly answeredOther: number;
  /** Which statuses those had. */
  readonly otherStatuses: readonly number[];
  /** Requests without an answer when the generator gave up waiting. */
  readonly unanswered: number;
  /** Fixed rate only: events that were due and for which no connection was free. */
  readonly overdueEvents: number;
  /** Of the measured time: after the warm-up, up to the end of the schedule. */
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU of the generator in cores: 1 means that it had a core for itself and was the limit. */
  readonly cpuCores: number;
}

const FLAGS = {
  url: { type: 'string' },
  key: { type: 'string' },
  stream: { type: 'string', default: 'bench' },
  tenant: { type: 'string', default: '' },
  mode: { type: 'string', default: 'batch' },
  batch: { type: 'string', default: '100' },
  'event-bytes': { type: 'string', default: '1024' },
  connections: { type: 'string', default: '32' },
  rate: { type: 'string', default: 'max' },
  warmup: { type: 'string', default: '1' },
  seconds: { type: 'string', default: '10' },
  duplicates: { type: 'string', default: '0' },
  ack: { type: 'string', default: 'durable' },
  run: { type: 'string', default: '1' },
} as const;

/** Fails with what is wrong and what to write instead. */
export function readLoadOptions(args: readonly string[]): LoadOptions {
  const { values } = parseArgs({ args: [...args], options: FLAGS, strict: true });
  if (values.url === undefined || values.key === undefined) throw new Error('give --url and --key');
  const mode = oneOf('mode', values.mode, ['single', 'batch'] as const);
  return {
    url: values.url,
    key: values.key,
    stream: values.stream,
    tenant: values.tenant,
    mode,
    batch: mode === 'single' ? 1 : number('batch', values.batch, 1),
    eventBytes: number('event-bytes', values['event-bytes'], 1),
    connections: number('connections', values.connections, 1),
    rate: values.rate === 'max' ? 'max' : number('rate', values.rate, 1),
    warmupSeconds: number('warmup', values.warmup, 0),
    seconds: number('seconds', values.seconds, 0.01),
    duplicates: number('duplicates', values.duplicates, 0),
    ack: oneOf('ack', values.ack, ['none', 'durable', 'stored'] as const),
    run: number('run', values.run, 0),
  };
}

/** The flags that `readLoadOptions` reads back. */
export function loadFlags(options: LoadOptions): string[] {
  const flags: Record<keyof typeof FLAGS, string | number> = {
    url: options.url,
    key: options.key,
    stream: options.stream,
    tenant: options.tenant,
    mode: options.mode,
    batch: options.batch,
    'event-bytes': options.eventBytes,
    connections: options.connections,
    rate: options.rate,
    warmup: options.warmupSeconds,
    seconds: options.seconds,
    duplicates: options.duplicates,
    ack: options.ack,
    run: options.run,
  };
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

function number(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least) {
    throw new Error(`--${name} must be a number of at least ${least}, not "${text}"`);
  }
  return value;
}

function oneOf<const T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new Error(`--${name} must be one of ${choices.join(', ')}, not "${text}"`);
  return found;
}
