/**
 * Tables that are made when they are first needed: a project has four for each stream, and most tests look at one of them.
 *
 *   CREATE TABLE IF NOT EXISTS t ──▶ owed ──a statement names t, or asks what tables there are──▶ made
 *                                      └───DROP TABLE IF EXISTS t, DROP DATABASE──▶ forgotten
 *
 * What is owed outlives a crash of the system under test: for the system the tables are there.
 */
const RELATION = '`(?:[^`\\\\]|\\\\.)+`\\.`(?:[^`\\\\]|\\\\.)+`';
const MAKES = new RegExp(`^\\s*CREATE TABLE IF NOT EXISTS (${RELATION}) `);
const WIDENS = new RegExp(`^\\s*ALTER TABLE (${RELATION}) ADD COLUMN IF NOT EXISTS `);
const DROPS = new RegExp(`^\\s*DROP TABLE IF EXISTS (${RELATION})\\s*$`);
const DROPS_DATABASE = /^\s*DROP DATABASE (?:IF EXISTS )?(`(?:[^`\\]|\\.)+`)/;
const NAMED = new RegExp(RELATION, 'g');
/** Of the engine's own relations those that list parts do not know of empty tables. */
const LISTS_TABLES = /\bsystem\.(?!parts\b)/;

/** Who makes a stream asks which of its tables are there; to make once more what is owed changes nothing. */
const ASKS_WHAT_IS_MISSING = /\bFROM system\.columns WHERE database = \{database:String\} AND table IN \{/;

export class LateTables {
  /** Statements by the relation that they make, in order. */
  readonly #owed = new Map<string, readonly string[]>();
  readonly #making = new Map<string, Promise<void>>();

  /** True: the statement is owed, or has become needless; nothing is to be done now. */
  defers(text: string): boolean {
    const made = MAKES.exec(text)?.[1];
    if (made !== undefined && !this.#making.has(made)) {
      if (!this.#owed.has(made)) this.#owed.set(made, [text]);
      return true;
    }
    const widened = WIDENS.exec(text)?.[1];
    const before = widened === undefined ? undefined : this.#owed.get(widened);
    if (before) {
      this.#owed.set(widened!, [...before, text]);
      return true;
    }
    const dropped = DROPS.exec(text)?.[1];
    // What lies under the name from before goes all the same.
    if (dropped !== undefined) this.#owed.delete(dropped);
    const database = DROPS_DATABASE.exec(text)?.[1];
    if (database !== undefined)
      for (const relation of this.#owed.keys())
        if (relation.startsWith(`${database}.`)) this.#owed.delete(relation);
    return false;
  }

  /** Makes what the statement needs. */
  async pay(text: string, execute: (text: string) => Promise<void>): Promise<void> {
    if (this.#owed.size === 0 && this.#making.size === 0) return;
    const needed =
      LISTS_TABLES.test(text) && !ASKS_WHAT_IS_MISSING.test(text)
        ? [...this.#owed.keys(), ...this.#making.keys()]
        : new Set(text.match(NAMED) ?? []);
    for (const relation of needed) await this.#make(relation, execute);
  }

  #make(relation: string, execute: (text: string) => Promise<void>): Promise<void> {
    const statements = this.#owed.get(relation);
    if (!statements) return this.#making.get(relation) ?? Promise.resolve();
    this.#owed.delete(relation);
    const making = (async () => {
      try {
        for (const statement of statements) await execute(statement);
      } catch (error) {
        this.#owed.set(relation, statements);
        throw error;
      } finally {
        this.#making.delete(relation);
      }
    })();
    this.#making.set(relation, making);
    return making;
  }
}
