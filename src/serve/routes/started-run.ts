import type { FastifyReply } from 'fastify';
import type { TenantId } from '../../base/brand.ts';
import type { Run, Runs } from '../../runs/port.ts';
import { describeRun } from './runs.ts';

/** Waits a while for a run that was just started: 200 when it has ended, 202 when it goes on. */
export async function answerRun(
  reply: unknown,
  runs: Pick<Runs, 'wait'>,
  tenant: TenantId,
  { id }: Run,
  waitSeconds: number,
): Promise<ReturnType<typeof describeRun>> {
  const run = await runs.wait(tenant, id, waitSeconds * 1_000);
  (reply as FastifyReply).code(run.endedAtMs === undefined ? 202 : 200).header('location', `/v1/runs/${id}`);
  return describeRun(run);
}
