/** A key as it stands in memory: its record, its document read, and the principal that its holders are. */
import type { KeyRecord } from '../catalog/index.ts';
import { type KeyDocument, storedKeyDocument } from './key-document.ts';
import type { Principal } from './port.ts';

export interface StandingKey {
  readonly record: KeyRecord;
  readonly document: KeyDocument;
  /** Frozen, and the same object until the key changes: who holds one can tell by it whether the key is still as it was. */
  readonly principal: Principal;
  readonly uses: Uses;
}

/** Of a key, whatever its version. */
export interface Uses {
  atMs: number | null;
  /** Not written yet. */
  isFresh: boolean;
}

export function standingKey(
  record: KeyRecord,
  uses: Uses = { atMs: record.lastUsedAtMs, isFresh: false },
): StandingKey {
  const document = storedKeyDocument(record.document);
  const { scopes, rowFilters, limits } = document;
  const principal: Principal = Object.freeze({
    tenant: record.tenant,
    key: record.name,
    isOperator: false,
    scopes,
    rowFilters,
    limits,
  });
  return { record, document, principal, uses };
}
