/** Triggers of the tenant: what fires, what is muted, what would have fired. */
import { pathOf, queryText } from './query.ts';
import type { Transport } from './transport.ts';

type GroupValues = Readonly<Record<string, string | number | boolean | null>>;

export interface TriggerGroup {
  readonly group: GroupValues;
  readonly state: 'inactive' | 'pending' | 'firing';
  readonly since: string;
  readonly at: string;
  readonly value: number | null;
  readonly firing_id: string | null;
  readonly muted_until: string | null;
}

export interface TriggerState {
  readonly name: string;
  /** The newest moment that was looked at. */
  readonly at: string | null;
  readonly muted_until: string | null;
  readonly firing: number;
  readonly pending: number;
  readonly ignored: number;
  readonly error: string | null;
  /** Those that fire first. */
  readonly groups: readonly TriggerGroup[];
}

export interface TriggerTest {
  readonly from: string;
  readonly to: string;
  readonly observations: number;
  readonly firings: readonly {
    readonly group: GroupValues;
    readonly since: string;
    readonly fired_at: string;
    /** null: it would fire still. */
    readonly resolved_at: string | null;
    readonly value: number | null;
  }[];
  readonly cut: boolean;
}

export interface TriggerInfo {
  readonly name: string;
  readonly version: number;
  readonly updated_at: string;
  readonly document: Readonly<Record<string, unknown>>;
}

const JSON_BODY = { 'content-type': 'application/json' };

/**
 * @example
 * await client.triggers.mute('too_many_alarms', { until: '+2h', group: { station: 'north' } });
 */
export class TriggersClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<readonly TriggerInfo[]> {
    const answer = await this.#transport.get(pathOf('triggers'));
    return (answer as { readonly triggers: readonly TriggerInfo[] }).triggers;
  }

  /** `limit`: groups, 1 to 10 000; default 100. */
  async state(name: string, options: { readonly limit?: number | undefined } = {}): Promise<TriggerState> {
    const path = `${pathOf('triggers', name, 'state')}${queryText(options)}`;
    return (await this.#transport.get(path)) as TriggerState;
  }

  /** Until a moment, `+2h` from now; `now` ends the mute. Without `group`: all of the trigger. */
  async mute(
    name: string,
    mute: { readonly until: string; readonly group?: GroupValues | undefined },
  ): Promise<TriggerState> {
    return (await this.#post(name, 'mute', mute)) as TriggerState;
  }

  /** When it would have fired, by what is stored now. `from` such as `-30d`; `to` is now by default. */
  async test(
    name: string,
    range: { readonly from: string; readonly to?: string | undefined },
  ): Promise<TriggerTest> {
    return (await this.#post(name, 'test', range)) as TriggerTest;
  }

  #post(name: string, what: string, body: object): Promise<unknown> {
    return this.#transport.json({
      ...{ method: 'POST', path: pathOf('triggers', name, what), body: JSON.stringify(body) },
      ...{ headers: JSON_BODY, repeatable: 'safe' as const },
    });
  }
}
