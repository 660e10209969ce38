import type { Command } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

const COLUMNS = ['accepted', 'stored', 'duplicates', 'quarantined', 'pending'] as const;

export function streamsCommand(io: Io): Command {
  return serverCommand('streams', 'every stream and how it is doing', '$ millrace streams').action(
    async (options: ConnectionOptions & { readonly json?: true }) => {
      const streams = await connect(io, options, IMPATIENT).client.streams();
      if (options.json) io.stdout.write(`${toJson(streams)}\n`);
      else if (streams.length === 0)
        io.stdout.write('There is no stream yet; millrace apply makes those of a project.\n');
      else {
        const rows = streams.map(({ name, version, state }) => [
          name,
          version,
          ...COLUMNS.map((column) => state[column]),
        ]);
        io.stdout.write(textTable(['stream', 'version', ...COLUMNS], rows));
      }
    },
  );
}
