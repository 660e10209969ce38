/**
 * What is being changed right now. A change touches the store, the log and the catalog, which cannot commit
 * together; so it is written down first, and what a crash or a failure has left half done is found here.
 *
 *   (nothing) ─keep─▶ one change under way ─work done─▶ (nothing)
 *                        └─crash, failure─▶ recover ─▶ (nothing)
 */
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';

export type UnderWay =
  | {
      readonly work: 'create-stream' | 'widen-stream' | 'remove-stream';
      readonly tenant: TenantId;
      readonly name: string;
      /** The stream as it will be; for a removal, as it was. */
      readonly document: unknown;
    }
  | {
      readonly work: 'build-rollup';
      readonly tenant: TenantId;
      readonly name: string;
      /** Version of the table that is being built. */
      readonly version: number;
      /** Version of the table that it replaces. */
      readonly replaces: number | undefined;
    }
  | {
      readonly work: 'remove-rollup';
      readonly tenant: TenantId;
      readonly name: string;
      readonly version: number;
    };

const SETTING = 'registry_under_way';

export class Journal {
  readonly #catalog: Pick<Catalog, 'setting' | 'setSetting'>;

  constructor(catalog: Pick<Catalog, 'setting' | 'setSetting'>) {
    this.#catalog = catalog;
  }

  /** Writes the change down, does the work, and forgets it. A failure leaves it written. */
  async keep(change: UnderWay, work: () => Promise<void>): Promise<void> {
    this.#catalog.setSetting(SETTING, JSON.stringify(change));
    await work();
    this.#catalog.setSetting(SETTING, '');
  }

  /** Lets `finish` bring what a crash or a failure left to its end. */
  async recover(finish: (change: UnderWay) => Promise<void>): Promise<void> {
    const text = this.#catalog.setting(SETTING);
    if (text === undefined || text === '') return;
    await finish(JSON.parse(text) as UnderWay);
    this.#catalog.setSetting(SETTING, '');
  }
}
