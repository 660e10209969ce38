/**
 * The certificate of the server: read at start, checked before anything is served with it, and read again when its
 * files change, so that a renewed one is taken without a restart.
 *
 *   read ──whole and matching──▶ served ──a file changed──▶ read again ──whole and matching──▶ served
 *    └─not─▶ the start fails with what to do             └─not─▶ told in the log; the one before is served on
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';

/** Paths of PEM files. */
export interface CertificateFiles {
  /** The server's certificate first, then those between it and the root. */
  readonly cert: string;
  /** Its private key, not encrypted. */
  readonly key: string;
}

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Epoch ms. */
  readonly expiresAtMs: number;
}

/** Fails with `bad-request` that names the setting and says what is wrong; never with a word of the key. */
export function readCertificate(files: CertificateFiles): Certificate {
  const cert = readPem('MILLRACE_TLS_CERT', files.cert);
  const key = readPem('MILLRACE_TLS_KEY', files.key);
  const parsed = attempt(
    () => new X509Certificate(cert),
    `MILLRACE_TLS_CERT: ${files.cert} has no certificate in PEM form ("-----BEGIN CERTIFICATE-----")`,
  );
  const secret = attempt(
    () => createPrivateKey(key),
    `MILLRACE_TLS_KEY: ${files.key} has no private key in PEM form that can be read without a passphrase`,
  );
  if (!parsed.checkPrivateKey(secret)) {
    throw new MillraceError(
      'bad-request',
      `MILLRACE_TLS_KEY: ${files.key} is not the key of the certificate in ${files.cert}; the server's own certificate must be the first in its file`,
    );
  }
  return { cert, key, expiresAtMs: Date.parse(parsed.validTo) };
}

function readPem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new MillraceError('bad-request', `${setting}: ${path} cannot be read (${why})`, { cause });
  }
}

function attempt<T>(work: () => T, otherwise: string): T {
  try {
    return work();
  } catch {
    // The cause may quote what it could not parse.
    throw new MillraceError('bad-request', otherwise);
  }
}

export interface CertificateWatch {
  readonly clock: Clock;
  readonly onRenewed: (certificate: Certificate) => void;
  readonly onFailure: (error: unknown) => void;
}

const LOOK_EVERY_MS = 30_000;

/** Looks at the files now and then until the signal. A pair that is being written fails to match and is tried again. */
export async function watchCertificate(
  files: CertificateFiles,
  { clock, onRenewed, onFailure }: CertificateWatch,
  signal: AbortSignal,
): Promise<void> {
  let known = stampOf(files);
  let told = '';
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    const stamp = stampOf(files);
    if (stamp === known) continue;
    try {
      onRenewed(readCertificate(files));
      known = stamp;
    } catch (error) {
      // Once for each state of the files, not at every look.
      if (told !== stamp) onFailure(error);
      told = stamp;
    }
  }
}

function stampOf({ cert, key }: CertificateFiles): string {
  return JSON.stringify(
    [cert, key].map((path) => {
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined ? null : [found.mtimeMs, found.size, found.ino];
    }),
  );
}
