/**
 * The commit protocol of one batch, as a pure core: facts in, steps out. Whoever carries the steps out (commit.ts, the
 * simulation, the exhaustive test) reports what happened as facts; nothing here waits, reads or writes.
 *
 *   decided ──manifest-durable──▶ promised ──every table there──▶ stored ──position-durable──▶ applied
 *      └ save-manifest              └ insert | prove, per table     └ save-position
 *
 *   per table    absent ──insert-succeeded──▶ there
 *                absent ──insert-failed─────▶ unknown ──proof: there──▶ there
 *                                                     └─proof: absent─▶ absent
 *
 * After a crash the manifest is what is left: the batch is promised, and of no table it is known whether it has the
 * batch. An insert is only ever made into a table of which it is known that it has nothing of the batch; that one
 * insert is one block, which the engine takes whole or not at all. So whatever fails, and however often, each table
 * gets the batch once.
 */

/** What is known about one table and the batch. */
export type Knowledge = 'absent' | 'unknown' | 'there';

export type BatchState =
  | { readonly phase: 'decided'; readonly tables: readonly string[] }
  | { readonly phase: 'promised'; readonly tables: ReadonlyMap<string, Knowledge> }
  | { readonly phase: 'stored' }
  | { readonly phase: 'applied' }
  /** Another process owns the partition: not one step more. */
  | { readonly phase: 'fenced' };

export type Step =
  | { readonly step: 'save-manifest' }
  | { readonly step: 'insert'; readonly table: string }
  | { readonly step: 'prove'; readonly table: string }
  | { readonly step: 'save-position' };

/** A failure says only that the outcome is unknown; the same step (or the proof of it) comes next. */
export type Fact =
  | { readonly fact: 'manifest-durable' }
  | { readonly fact: 'insert-succeeded'; readonly table: string }
  | { readonly fact: 'insert-failed'; readonly table: string }
  | { readonly fact: 'proof'; readonly table: string; readonly there: boolean }
  | { readonly fact: 'position-durable' }
  | { readonly fact: 'fenced' }
  | { readonly fact: 'nothing-new' };

/** A batch that was just decided: nothing of it was tried anywhere. */
export const decided = (tables: readonly string[]): BatchState => ({ phase: 'decided', tables });

/** A batch that a manifest promises after a crash: anything may have been tried. */
export const recovered = (tables: readonly string[]): BatchState =>
  promised(new Map(tables.map((table) => [table, 'unknown'] as const)));

/** What may be done now, all at once. Empty: the batch is applied, or somebody else's. */
export function stepsOf(state: BatchState): readonly Step[] {
  switch (state.phase) {
    case 'decided':
      return [{ step: 'save-manifest' }];
    case 'promised':
      return [...state.tables].flatMap(([table, knowledge]): Step[] => {
        if (knowledge === 'there') return [];
        return [{ step: knowledge === 'absent' ? 'insert' : 'prove', table }];
      });
    case 'stored':
      return [{ step: 'save-position' }];
    case 'applied':
    case 'fenced':
      return [];
  }
}

export function observe(state: BatchState, fact: Fact): BatchState {
  if (fact.fact === 'nothing-new') return state;
  if (fact.fact === 'fenced') return { phase: 'fenced' };
  if (state.phase === 'fenced') return state;
  if (state.phase === 'decided' && fact.fact === 'manifest-durable')
    return promised(new Map(state.tables.map((table) => [table, 'absent'] as const)));
  if (state.phase === 'stored' && fact.fact === 'position-durable') return { phase: 'applied' };
  if (state.phase === 'promised') {
    switch (fact.fact) {
      case 'insert-succeeded':
        return known(state.tables, fact.table, 'there');
      case 'insert-failed':
        return known(state.tables, fact.table, 'unknown');
      case 'proof':
        return known(state.tables, fact.table, fact.there ? 'there' : 'absent');
    }
  }
  throw new Error(`the fact ${fact.fact} cannot be while a batch is ${state.phase}`);
}

function known(tables: ReadonlyMap<string, Knowledge>, table: string, knowledge: Knowledge): BatchState {
  return promised(new Map(tables).set(table, knowledge));
}

function promised(tables: ReadonlyMap<string, Knowledge>): BatchState {
  const complete = [...tables.values()].every((knowledge) => knowledge === 'there');
  return complete ? { phase: 'stored' } : { phase: 'promised', tables };
}
