/**
 * What is being changed right now. A change touches the store, the log and the catalog, which cannot commit
 * together; so it is written down first, and what a crash or a failure has left half done is found here. Rollups that
 * are built have a journal of their own: the catalog's builds.
 *
 *   (nothing) ─keep─▶ under way ─work done─▶ (nothing)
 *                        └─crash, failure─▶ recover ─▶ (nothing)
 */
import type { TenantId } from '../base/brand.ts';
import { Mutex } from '../base/mutex.ts';
import type { Catalog } from '../catalog/port.ts';
import type { DefinitionKind, ObjectKind } from '../define/model.ts';

export type UnderWay = Work & {
  /** Who asked for it; whoever carries it on after a crash does so in this name. */
  readonly author?: string | undefined;
};

type Work =
  | {
      readonly work: 'create-stream' | 'widen-stream' | 'remove-stream';
      readonly tenant: TenantId;
      readonly name: string;
      /** The stream as it will be; for a removal, as it was. */
      readonly document: unknown;
    }
  | {
      readonly work: 'remove-rollup';
      readonly tenant: TenantId;
      readonly name: string;
      readonly version: number;
    }
  | {
      readonly work: 'remove-object';
      readonly kind: ObjectKind;
      readonly tenant: TenantId;
      readonly name: string;
      readonly document: unknown;
    }
  /** Written by the first version, which let ingest wait while it built. */
  | {
      readonly work: 'build-rollup';
      readonly tenant: TenantId;
      readonly name: string;
      readonly version: number;
      readonly replaces: number | undefined;
    };

const SETTING = 'registry_under_way';

export class Journal {
  readonly #catalog: Pick<Catalog, 'setting' | 'setSetting'>;
  /** It is one setting: what changes it reads and writes it while nobody else does. */
  readonly #changes = new Mutex();

  constructor(catalog: Pick<Catalog, 'setting' | 'setSetting'>) {
    this.#catalog = catalog;
  }

  /** Writes the change down, does the work, and forgets it. A failure leaves it written. */
  async keep(change: UnderWay, work: () => Promise<void>): Promise<void> {
    await this.#write(change, [change]);
    await work();
    await this.#write(change, []);
  }

  /** Lets `finish` bring what a crash or a failure left to its end; only what `concerns` the caller. */
  async recover(
    concerns: (change: UnderWay) => boolean,
    finish: (change: UnderWay) => Promise<void>,
  ): Promise<void> {
    for (const change of this.#read().filter(concerns)) {
      await finish(change);
      await this.#write(change, []);
    }
  }

  of(tenant: TenantId): readonly UnderWay[] {
    return this.#read().filter((one) => one.tenant === tenant);
  }

  /** What was begun for the tenant is not brought to its end: all of it goes. */
  async forget(tenant: TenantId): Promise<void> {
    if (this.of(tenant).length === 0) return;
    await this.#change(() => this.#read().filter((one) => one.tenant !== tenant));
  }

  #read(): readonly UnderWay[] {
    const text = this.#catalog.setting(SETTING);
    if (text === undefined || text === '') return [];
    const written = JSON.parse(text) as UnderWay | readonly UnderWay[];
    return 'work' in written ? [written] : written;
  }

  #others(change: UnderWay): readonly UnderWay[] {
    const kind = kindOf(change);
    return this.#read().filter(
      (one) => one.tenant !== change.tenant || one.name !== change.name || kindOf(one) !== kind,
    );
  }

  /** In the place of what is known of the same thing. */
  #write(of: UnderWay, standing: readonly UnderWay[]): Promise<void> {
    return this.#change(() => [...this.#others(of), ...standing]);
  }

  #change(next: () => readonly UnderWay[]): Promise<void> {
    return this.#changes.run(() => {
      const changes = next();
      return this.#catalog.setSetting(SETTING, changes.length === 0 ? '' : JSON.stringify(changes));
    });
  }
}

export function kindOf(change: UnderWay): DefinitionKind {
  if (change.work === 'remove-object') return change.kind;
  return change.work.endsWith('stream') ? 'stream' : 'rollup';
}
