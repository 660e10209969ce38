import type { TenantId } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import type { Holding, TenantPart } from '../base/tenant-part.ts';
import type { RunningIngest } from './ingest.ts';

export interface IngestPartOptions {
  readonly ingest: Pick<RunningIngest, 'endAll'>;
  readonly files: FileSystem;
  /** Absolute path of the data directory. */
  readonly directory: string;
}

/** How far a tenant's streams are applied, and what their batches and remembered ids have left in scratch. */
export function ingestPart({ ingest, files, directory }: IngestPartOptions): TenantPart {
  const progress = `${directory}/ingest`;
  const scratch = `${directory}/scratch`;
  const leftIn = async (tenant: TenantId) =>
    (await files.readdir(scratch)).filter((name) => isScratchOf(name, tenant));
  const isThere = async (parent: string, name: string) => (await files.readdir(parent)).includes(name);

  return {
    name: 'ingest',
    holdings: async (tenant): Promise<readonly Holding[]> => {
      const streams = await files.readdir(`${progress}/${tenant}`);
      const isLeft = streams.length === 0 && (await isThere(progress, tenant));
      return [
        ...streams.map((stream) => ({ what: `position of stream "${stream}"`, bytes: undefined })),
        ...(isLeft ? [{ what: 'directory of positions', bytes: undefined }] : []),
        ...((await isThere(`${scratch}/dedup`, tenant))
          ? [{ what: 'remembered ids', bytes: undefined }]
          : []),
        ...(await leftIn(tenant)).map(() => ({ what: 'file of a batch', bytes: undefined })),
      ];
    },
    quiet: (tenant) => ingest.endAll(tenant),
    erase: async (tenant) => {
      await files.rmdir(`${progress}/${tenant}`);
      await files.rmdir(`${scratch}/dedup/${tenant}`);
      for (const name of await leftIn(tenant)) await files.unlink(`${scratch}/${name}`);
      if ((await files.readdir(progress)).length > 0) await files.syncDirectory(progress);
    },
  };
}

/** Files of a batch are called `WHAT-TENANT-STREAM-PARTITION-OFFSET` (stage.ts); no name holds a `-`. */
const isScratchOf = (name: string, tenant: TenantId): boolean => {
  const parts = name.split('-');
  return parts.length === 5 && parts[1] === tenant;
};
