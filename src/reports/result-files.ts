/**
 * Where results lie: DATA/reports/TENANT/REPORT/RUN/. A run writes into RUN.part, which takes its name when every byte and
 * every name in it is durable; what a crash left half is begun again.
 */
import { createHash } from 'node:crypto';
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { ReportRun, ResultFile } from './port.ts';

type Where = Pick<ReportRun, 'report' | 'id'>;

export interface ResultWriter {
  add(file: Omit<ResultFile, 'bytes' | 'sha256'>, bytes: Uint8Array): Promise<ResultFile>;
  /** All of them are there, durably. */
  finish(): Promise<void>;
}

export class ResultFiles {
  readonly #files: FileSystem;
  readonly #directory: string;

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  directoryOf = (tenant: TenantId): string => `${this.#directory}/${tenant}`;
  #ofReport = (tenant: TenantId, report: string): string => `${this.directoryOf(tenant)}/${report}`;
  #ofRun = (tenant: TenantId, { report, id }: Where): string => `${this.#ofReport(tenant, report)}/${id}`;

  async begin(tenant: TenantId, run: Where): Promise<ResultWriter> {
    const files = this.#files;
    const whole = this.#ofRun(tenant, run);
    const part = `${whole}.part`;
    await this.remove(tenant, run);
    await files.mkdir(part);
    return {
      add: async (file, bytes) => {
        const opened = await files.open(`${part}/${file.name}`, 'create');
        try {
          await opened.writev([bytes], 0);
          await opened.datasync();
        } finally {
          await opened.close();
        }
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        return { ...file, bytes: bytes.byteLength, sha256 };
      },
      finish: async () => {
        await files.syncDirectory(part);
        await files.rename(part, whole);
        await files.syncDirectory(this.#ofReport(tenant, run.report));
      },
    };
  }

  async read(tenant: TenantId, run: Where, file: ResultFile): Promise<Uint8Array> {
    const bytes = await this.#files.readFile(`${this.#ofRun(tenant, run)}/${file.name}`);
    if (bytes === undefined)
      throw new MillraceError('not-found', `The results of the run ${run.id} are not kept any more.`);
    if (createHash('sha256').update(bytes).digest('hex') === file.sha256) return bytes;
    throw new MillraceError(
      'internal',
      `The file ${file.name} of the run ${run.id} is damaged: its checksum is not the one that was written down. Run the report again.`,
    );
  }

  async remove(tenant: TenantId, run: Where): Promise<void> {
    const whole = this.#ofRun(tenant, run);
    for (const one of [whole, `${whole}.part`]) await this.#files.rmdir(one);
  }

  async removeReport(tenant: TenantId, report: string): Promise<void> {
    await this.#remove(this.#ofReport(tenant, report), this.directoryOf(tenant));
  }

  async removeTenant(tenant: TenantId): Promise<void> {
    await this.#remove(this.directoryOf(tenant), this.#directory);
  }

  async #remove(directory: string, parent: string): Promise<void> {
    await this.#files.rmdir(directory);
    // There is nothing to make durable where nothing ever was.
    if ((await this.#files.readdir(parent)).length > 0) await this.#files.syncDirectory(parent);
  }

  reportsOf = (tenant: TenantId): Promise<readonly string[]> => this.#files.readdir(this.directoryOf(tenant));
}
