/**
 * What is set on each session. A `SET` costs the engine as much as a whole `SELECT 1`, so a statement sets only what differs from
 * the statement before it.
 */
import type { Session } from 'chdb';
import { setAllSoon } from './session-parameters.ts';

/** `name=value` as `SET` takes them, by name. */
export type Settings = Readonly<Record<string, string | number>>;

export class SessionSettings {
  readonly #known = new WeakMap<Session, Map<string, string | number>>();

  /** Everything of this is set on the session already. */
  agree(session: Session, wanted: Settings): boolean {
    return this.#differing(session, wanted).length === 0;
  }

  /** Sets what differs, and `parameters` whatever they were. Nobody else may use the session until then. */
  async set(session: Session, wanted: Settings, parameters: readonly string[] = []): Promise<void> {
    const differing = this.#differing(session, wanted);
    if (differing.length + parameters.length === 0) return;
    const known = this.#known.get(session) ?? new Map<string, string | number>();
    // Where it fails nobody knows what is set.
    this.#known.delete(session);
    await setAllSoon(session, [...differing.map(([name, value]) => `${name}=${value}`), ...parameters]);
    for (const [name, value] of differing) known.set(name, value);
    this.#known.set(session, known);
  }

  #differing(session: Session, wanted: Settings): [string, string | number][] {
    const known = this.#known.get(session);
    return Object.entries(wanted).filter(([name, value]) => known?.get(name) !== value);
  }
}
