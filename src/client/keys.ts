/** Keys of the tenant: who may do what, until when, from where. */
import { conditionOf } from './definitions.ts';
import { pathOf, queryText } from './query.ts';
import type { Transport } from './transport.ts';
import type { Moment } from './types.ts';

export interface KeyDocument {
  /** `events:write[:STREAM]`, `stats:read[:STREAM]`, `sql:read`, `definitions:write`, `admin`. */
  readonly scopes: readonly string[];
  /** By stream: conditions `field:op:value` that hold for every row that the key reads. */
  readonly rowFilters?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly limits?:
    | {
        readonly eventsPerSecond?: number | undefined;
        readonly bytesPerSecond?: number | undefined;
        readonly concurrentQueries?: number | undefined;
      }
    | undefined;
  /** Pages that may use the key from a browser: `https://shop.example`. */
  readonly origins?: readonly string[] | undefined;
  /** RFC 3339, or a duration from now: `90d`; null or absent: never. */
  readonly expires?: string | null | undefined;
  readonly description?: string | undefined;
}

export interface KeyInfo {
  readonly name: string;
  readonly version: number;
  /** The beginning of the key, by which it can be recognised. */
  readonly prefix: string;
  readonly document: KeyDocument;
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  /** Secrets before the newest one that a rotation still lets in. */
  readonly also_accepted: readonly { readonly prefix: string; readonly until: string }[];
}

/** `secret` only when there is a new one: this is the only time that it is seen. */
export type KeyWithSecret = KeyInfo & { readonly secret?: string };

export interface AuditQuestion {
  readonly tenant?: string | undefined;
  readonly action?: string | undefined;
  readonly actor?: string | undefined;
  readonly from?: Moment | undefined;
  readonly to?: Moment | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface AuditPage {
  /** Newest first. */
  readonly entries: readonly {
    readonly id: string;
    readonly at: string;
    readonly tenant: string | null;
    readonly actor: string;
    readonly action: string;
    readonly subject: string;
    readonly outcome: 'done' | 'refused';
    readonly detail: Readonly<Record<string, unknown>>;
    readonly request_id: string | null;
  }[];
  readonly next_cursor: string | null;
}

const JSON_BODY = { 'content-type': 'application/json' };

/**
 * @example
 * const { secret } = await client.keys.put('shop', { scopes: ['stats:read:orders'], origins: ['https://shop.example'] });
 */
export class KeysClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<readonly KeyInfo[]> {
    const answer = await this.#transport.get(pathOf('keys'));
    return (answer as { readonly keys: readonly KeyInfo[] }).keys;
  }

  async get(name: string): Promise<KeyInfo> {
    const path = pathOf('keys', name);
    return (await this.#transport.get(path)) as KeyInfo;
  }

  /** Makes a key, and tells its secret; or changes what one may do. `ifVersion` 0: only makes one. */
  async put(
    name: string,
    document: KeyDocument,
    { ifVersion }: { readonly ifVersion?: number | undefined } = {},
  ): Promise<KeyWithSecret> {
    return (await this.#transport.json({
      method: 'PUT',
      path: pathOf('keys', name),
      body: JSON.stringify(document),
      headers: { ...JSON_BODY, ...conditionOf(ifVersion) },
      // A try that is repeated because its answer was lost would not be told the secret.
      repeatable: 'refused',
    })) as KeyWithSecret;
  }

  /** A new secret; the old one is accepted for `overlap` more (default `24h`; `0s`: no longer). */
  async rotate(name: string, overlap = '24h'): Promise<KeyWithSecret> {
    return (await this.#transport.json({
      method: 'POST',
      path: pathOf('keys', name, 'rotate'),
      body: JSON.stringify({ overlap }),
      headers: JSON_BODY,
      repeatable: 'refused',
    })) as KeyWithSecret;
  }

  /** Nobody gets in with it any more. */
  async remove(name: string): Promise<void> {
    await this.#transport.send({ method: 'DELETE', path: pathOf('keys', name), repeatable: 'refused' });
  }

  /** Who did what, and what was refused. */
  async audit(question: AuditQuestion = {}): Promise<AuditPage> {
    const path = pathOf('audit') + queryText(question);
    return (await this.#transport.get(path)) as AuditPage;
  }
}
