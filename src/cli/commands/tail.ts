import type { Command } from 'commander';
import { type StoredEvent, toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, serverCommand, wholeNumber } from '../connect.ts';
import { type Io, untilSignal } from '../io.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly last: number;
  readonly count?: number;
}

const EXAMPLE = `$ millrace tail orders --last 20
$ millrace tail orders --json | jq .amount`;

export function tailCommand(io: Io): Command {
  return serverCommand('tail', 'events of a stream as they become visible', EXAMPLE)
    .argument('<stream>', 'the stream')
    .option('-n, --last <n>', 'events that are there already, to begin with', wholeNumber, 10)
    .option('--count <n>', 'end after so many events', wholeNumber)
    .action(async (stream: string, options: Options) => {
      const { client } = connect(io, options);
      let left = options.count ?? Number.POSITIVE_INFINITY;
      const print = (newestFirst: readonly StoredEvent[]) => {
        for (const event of newestFirst.toReversed()) {
          if (left <= 0) return;
          left -= 1;
          io.stdout.write(`${options.json ? toJson(event) : lineOf(event)}\n`);
        }
      };
      await untilSignal(io, async (signal) => {
        if (options.last > 0) print((await client.events(stream, { limit: options.last, signal })).events);
        if (left <= 0) return;
        const reconnecting = (_: unknown, delayMs: number) =>
          io.stderr.write(`the connection broke; trying again in ${(delayMs / 1_000).toFixed(1)} s\n`);
        for await (const message of client.live(stream, { signal, onReconnect: reconnecting })) {
          if (message.type !== 'events') continue;
          const { events, dropped = 0 } = message.data as {
            readonly events: readonly StoredEvent[];
            readonly dropped?: number;
          };
          if (dropped > 0) io.stderr.write(`${dropped} events went by too fast to be shown\n`);
          print(events);
          if (left <= 0) return;
        }
      }).catch((error: unknown) => {
        if (!(error instanceof Error && error.name === 'Interrupted')) throw error;
      });
    });
}

function lineOf(event: StoredEvent): string {
  const fields = Object.entries(event).filter(([name, value]) => !name.startsWith('_') && value !== null);
  return `${String(event._time)}  ${fields.map(([name, value]) => `${name}=${valueText(value)}`).join('  ')}`;
}

const valueText = (value: unknown): string =>
  typeof value === 'string' && /^[^\s="\p{Cc}]+$/u.test(value) ? value : toJson(value);
