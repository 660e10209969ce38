/** Asks the engine what would become of lines under the definition that stands, before anything is appended. */
import type { Offset, TenantId } from '../base/brand.ts';
import type { Versioned } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { EngineBatches } from '../ingest/index.ts';
import type { Candidate } from './candidates.ts';

export interface Checked {
  readonly candidate: Candidate;
  /** Why it cannot be stored; undefined when it can. */
  readonly problem: { readonly reason: string; readonly field: string } | undefined;
}

const EMPTY = { reason: 'the fix gives an empty line', field: '' };

export async function checkCandidates(
  batches: EngineBatches,
  tenant: TenantId,
  { definition, version }: Versioned<StreamDefinition>,
  candidates: readonly Candidate[],
  { nowMs, eventBytesMax }: { readonly nowMs: number; readonly eventBytesMax: number },
): Promise<readonly Checked[]> {
  const tooLong = { reason: `is longer than ${eventBytesMax} bytes`, field: '' };
  const unfit = (candidate: Candidate) =>
    candidate.fixed.length === 0 ? EMPTY : candidate.fixed.length > eventBytesMax ? tooLong : undefined;
  const lines = candidates.filter((candidate) => !unfit(candidate));
  const problems = new Map<Candidate, Checked['problem']>();
  if (lines.length > 0) {
    const payload = Buffer.concat(lines.flatMap(({ fixed }) => [fixed, Buffer.from('\n')]));
    const staged = await batches.stage(
      {
        key: { tenant, stream: definition.name, partition: 0 },
        from: 0 as Offset,
        to: lines.length as Offset,
        blocks: [
          {
            baseOffset: 0 as Offset,
            count: lines.length,
            receivedAtMs: nowMs,
            idBase: new Uint8Array(16),
            payload,
            replayed: true,
          },
        ],
        receivedAtMs: nowMs,
      },
      definition,
      version,
    );
    for (let row = 0; row < staged.rows.count; row += 1) {
      const code = staged.rows.code(row);
      if (code === 0) continue;
      const { reason, field } = staged.classifier.reasons.find((one) => one.code === code)!;
      problems.set(lines[staged.rows.offset(row)]!, { reason, field });
    }
    await batches.release(staged);
  }
  return candidates.map((candidate) => ({ candidate, problem: unfit(candidate) ?? problems.get(candidate) }));
}
