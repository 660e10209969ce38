/** Certificates for tests, made on the spot. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** Its own root, for `localhost` and 127.0.0.1. */
export async function makeCertificate(serial = 'one'): Promise<PemPair> {
  const made = await generate([{ name: 'commonName', value: `localhost ${serial}` }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}

export function writeCertificate(directory: string, pair: PemPair): { cert: string; key: string } {
  const files = { cert: join(directory, 'server.pem'), key: join(directory, 'server.key') };
  writeFileSync(files.cert, pair.cert);
  writeFileSync(files.key, pair.key, { mode: 0o600 });
  return files;
}
