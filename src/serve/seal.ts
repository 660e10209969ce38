/**
 * Places in the log count everybody's events. Whoever sees only some rows gets them sealed: he can give them back, and
 * neither read nor make them.
 *
 *     sealed = base64url( iv 12 bytes, tag 16 bytes, AES-256-GCM of the text ), bound to tenant, stream and purpose
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

export interface Seal {
  close(text: string, about: readonly string[]): string;
  /** Undefined when it was not sealed here, or about something else. */
  open(sealed: string, about: readonly string[]): string | undefined;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;
const SEALED_LENGTH_MAX = 4_096;
export const SEAL_SECRET_BYTES = 32;

export function createSeal(secret: Uint8Array): Seal {
  const bound = (about: readonly string[]): Buffer => Buffer.from(JSON.stringify(about));
  return {
    close(text, about) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(bound(about));
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
    },
    open(sealed, about) {
      if (sealed.length > SEALED_LENGTH_MAX || !/^[\w-]+$/.test(sealed)) return undefined;
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, IV_BYTES), {
          authTagLength: TAG_BYTES,
        })
          .setAAD(bound(about))
          .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        const text = decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}

const SETTING = 'seal_secret';

/** Kept with the catalog, so that what was sealed before a restart can be opened after it. */
export async function sealSecretOf(records: {
  setting(name: string): string | undefined;
  setSetting(name: string, value: string): Promise<void>;
}): Promise<Uint8Array> {
  const kept = records.setting(SETTING);
  if (kept !== undefined) return Buffer.from(kept, 'base64url');
  const secret = randomBytes(SEAL_SECRET_BYTES);
  await records.setSetting(SETTING, secret.toString('base64url'));
  return secret;
}
