import { UsageError } from './io.ts';

export const FILE_FORMATS = ['ndjson', 'json', 'csv', 'parquet', 'arrow'] as const;
export type FileFormat = (typeof FILE_FORMATS)[number];

const BY_EXTENSION: Readonly<Record<string, FileFormat>> = {
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  json: 'json',
  csv: 'csv',
  parquet: 'parquet',
  pq: 'parquet',
  arrow: 'arrow',
  feather: 'arrow',
  arrows: 'arrow',
};

/** `orders.ndjson.gz` → ndjson, compressed. Standard input is NDJSON unless `given` says otherwise. */
export function formatOfFile(
  file: string,
  given: string | undefined,
): { readonly format: FileFormat; readonly gzip: boolean } {
  const gzip = /\.gz$/i.test(file);
  if (given !== undefined) {
    const format = FILE_FORMATS.find((one) => one === given);
    if (format === undefined)
      throw new UsageError(`"${given}" is not a format; use one of ${FILE_FORMATS.join(', ')}.`);
    return { format, gzip };
  }
  if (file === '-') return { format: 'ndjson', gzip: false };
  const extension = /\.([a-z]+)$/i.exec(gzip ? file.slice(0, -3) : file)?.[1]?.toLowerCase() ?? '';
  const format = Object.hasOwn(BY_EXTENSION, extension) ? BY_EXTENSION[extension] : undefined;
  if (format === undefined) {
    throw new UsageError(
      `the name "${file}" does not tell its format; say --format ${FILE_FORMATS.join('|')}.`,
    );
  }
  return { format, gzip };
}
