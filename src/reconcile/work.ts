/**
 * One reconciliation from beginning to end. What it is worth is in its order:
 *
 *   compare ─▶ parts ─▶ strays ─▶ contents ─▶ doubled ─▶ missing ─▶ ids ─▶ restate ─▶ rollups ─▶ compare again
 *
 * Each step looks at the tables before it changes them, and changes them by statements that the engine does whole or not at
 * all; so it may be begun again after a crash anywhere. Raw is put right before rollups are computed from it.
 */
import { MillraceError } from '../base/errors.ts';
import type { Run, RunContext } from '../runs/port.ts';
import { compareAll } from './compare.ts';
import { type BrokenParts, NOTHING_BROKEN, type Pulse, type ReconcileParts } from './parts.ts';
import type { Comparison, ReconcileReport, ReconcileRequest } from './port.ts';
import { Repair } from './repair.ts';
import { repairContents } from './repair-contents.ts';
import { removeAgain, repairDoubled, repairStrays } from './repair-doubled.ts';
import { repairIds } from './repair-ids.ts';
import { repairMissing } from './repair-missing.ts';
import { repairParts } from './repair-parts.ts';
import { repairRollups } from './repair-rollups.ts';
import { dropStaged } from './restage.ts';
import { restate } from './restate.ts';
import { rollupsOf } from './scope.ts';
import { beginRepair, type RepairState, STEPS, type StepName } from './state.ts';

export async function reconcile(
  parts: ReconcileParts,
  run: Run,
  context: RunContext,
): Promise<ReconcileReport> {
  const request = run.request as ReconcileRequest;
  const pulse: Pulse = {
    signal: context.signal,
    throwIfEnding: () => context.throwIfEnding(),
    step: (words) => context.progress({ step: words, unit: 'records' }),
  };
  const compare = () => compareAll(parts, run, request, pulse);
  const isRepair = request.repair === true;
  const of = { stream: run.stream, repair: isRepair, deep: request.deep === true };
  if (!context.checkpoint) {
    context.throwIfEnding();
    const { comparison } = await compare();
    if (!isRepair || isClean(comparison))
      return told(parts, { ...of, balanced: isClean(comparison), before: comparison, repairs: [] });
    await context.save(beginRepair(comparison) satisfies RepairState);
  }
  const repair = new Repair(parts, run, context, pulse);
  await repair.settleSwap();
  for (const table of Object.values((await repair.scope()).raw)) await repair.settled(table);
  let broken: BrokenParts = NOTHING_BROKEN;
  for (const step of STEPS) {
    context.throwIfEnding();
    // Parts that had to stay are to be known to every step after it.
    if (repair.state.done.includes(step) && step !== 'parts') continue;
    broken = (await carryOut(repair, step, request, broken)) ?? broken;
    await repair.save({ ...repair.state, done: [...new Set([...repair.state.done, step])] });
  }
  const { comparison } = await compare();
  const { before, notes } = repair.state;
  return told(parts, { ...of, balanced: isClean(comparison), before, after: comparison, repairs: notes });
}

async function carryOut(
  repair: Repair,
  step: StepName,
  request: ReconcileRequest,
  broken: BrokenParts,
): Promise<BrokenParts | undefined> {
  const { parts, run } = repair;
  repair.pulse.step(`repairing: ${step}`);
  const scope = await repair.scope();
  switch (step) {
    case 'parts':
      return repairParts(repair, scope);
    case 'strays':
      // A table with a part that cannot be read takes no mutation.
      if (broken.size === 0) await repairStrays(repair, scope, broken);
      return;
    case 'contents':
      if (request.deep) await repairContents(repair, scope, broken);
      return;
    case 'doubled':
      if (broken.size === 0) await repairDoubled(repair, scope, broken);
      return;
    case 'missing':
      await repairMissing(repair, scope, broken);
      return;
    case 'ids':
      if (broken.size === 0) await repairIds(repair, scope, broken);
      return;
    case 'restate':
      await restate(repair);
      return;
    case 'rollups': {
      const names = rollupsOf(parts, run.tenant, run.stream, request.rollups);
      await repairRollups(
        repair,
        scope,
        names.map(({ definition }) => definition.name),
      );
    }
  }
}

export const isClean = ({ counts }: Comparison): boolean => Object.keys(counts).length === 0;

/** Differences are never silent. */
function told({ logger }: ReconcileParts, report: ReconcileReport): ReconcileReport {
  const { stream, before, after, balanced } = report;
  if (balanced) return report;
  const { counts, differences } = after ?? before;
  const command = `millrace reconcile ${stream} --repair`;
  logger.error(
    { stream, counts, first: differences[0]?.why, repair: command },
    report.repair
      ? `log and tables of ${stream} still differ after a repair; "millrace reconcile ${stream}" tells what is left`
      : `log and tables of ${stream} differ; "${command}" puts right what can be`,
  );
  return report;
}

/** What a run that failed or was cancelled leaves: every step is whole, so only totals and ids must follow. */
export async function giveUp(parts: ReconcileParts, run: Run): Promise<void> {
  const state = run.checkpoint as RepairState | null;
  if (!state) return dropStaged(parts, run.tenant, run.id);
  const context: RunContext = {
    signal: new AbortController().signal,
    cancelled: false,
    checkpoint: state,
    save: async () => {},
    progress: () => {},
    commit: async () => {},
    throwIfEnding: () => {},
  };
  const repair = new Repair(parts, run, context, { ...context, step: () => {} });
  try {
    await repair.settleSwap();
    await removeAgain(repair, await repair.scope());
    await restate(repair);
  } catch (error) {
    // Only when the stream is gone does it not matter.
    if (!(error instanceof MillraceError && error.code === 'unknown-stream')) throw error;
  }
}
