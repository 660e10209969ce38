/** The key of the installation: given by the operator, or generated at the first start and told once. */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { OperatorKey } from './authenticator.ts';
import { hashOfKey, KEY_RANDOM_BYTES, makeKeyText } from './key-text.ts';

interface SettingRecords {
  setting(name: string): string | undefined;
  setSetting(name: string, value: string): Promise<void>;
}

const HASH = 'admin_key_sha256';
const CRC = 'admin_key_crc32';

export interface GeneratedKey {
  readonly key: string;
  /** From now on it is the installation's, kept as a hash: the moment from which somebody is told. */
  keep(): Promise<void>;
}

/** `generated` when there was none yet. */
export function operatorKeyOf(
  given: string | undefined,
  records: SettingRecords,
): { readonly operator: OperatorKey; readonly generated: GeneratedKey | undefined } {
  if (given !== undefined) return { operator: operatorKey(given), generated: undefined };
  const kept = records.setting(HASH);
  if (kept !== undefined) {
    const crc = records.setting(CRC);
    return {
      operator: { hash: Buffer.from(kept, 'hex'), crc: crc === undefined ? undefined : Number(crc) },
      generated: undefined,
    };
  }
  const key = makeKeyText(randomBytes(KEY_RANDOM_BYTES));
  const operator = operatorKey(key);
  const keep = async (): Promise<void> => {
    await records.setSetting(CRC, String(operator.crc));
    await records.setSetting(HASH, Buffer.from(operator.hash).toString('hex'));
  };
  return { operator, generated: { key, keep } };
}

export const operatorKey = (text: string): OperatorKey => ({ hash: hashOfKey(text), crc: crc32(text) });
