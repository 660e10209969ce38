import type { TenantId } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import type { Holding, TenantPart } from '../base/tenant-part.ts';
import type { Log } from './port.ts';

export interface LogPartOptions {
  readonly log: Pick<Log, 'partitions' | 'state' | 'remove'>;
  readonly files: FileSystem;
  /** The log's directory, absolute. */
  readonly directory: string;
}

/** What the embedded log keeps of a tenant: `DIRECTORY/TENANT/`. */
export function logPart({ log, files, directory }: LogPartOptions): TenantPart {
  const partitionsOf = (tenant: TenantId) => log.partitions().filter((key) => key.tenant === tenant);
  return {
    name: 'log',
    holdings: async (tenant): Promise<readonly Holding[]> => {
      const keys = partitionsOf(tenant);
      const streams = await files.readdir(`${directory}/${tenant}`);
      return streams.map((stream) => {
        const own = keys.filter((key) => key.stream === stream);
        const bytes = own.reduce((sum, key) => sum + log.state(key).bytes, 0);
        return { what: `log of stream "${stream}"`, bytes };
      });
    },
    erase: async (tenant) => {
      for (const key of partitionsOf(tenant)) await log.remove(key);
      // What a crash left half removed, and partitions that are damaged, go with the directory.
      await files.rmdir(`${directory}/${tenant}`);
      // Nothing was ever logged when the directory of the log is not there.
      if ((await files.readdir(directory)).length > 0) await files.syncDirectory(directory);
    },
  };
}
