/** Whether the questions of a report can be asked at all, told when it is defined: by the engine's own reading of them. */
import type { TenantId } from '../base/brand.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import { badDefinition } from '../define/index.ts';
import { type ReportDefinition, relationsNamed } from '../define/model.ts';
import { readPinnedSql, type Visit } from '../questions/index.ts';
import { guestLimits, reportPrincipal, sqlParameters } from './answers.ts';

/** Fails with `bad-definition`, whose issues hold the mistake of each question. */
export async function checkQuestions(
  parts: { readonly visit: Visit; readonly timeoutSeconds: number },
  tenant: TenantId,
  { name, questions, parameters }: ReportDefinition,
): Promise<void> {
  const asked = questions.filter((one) => 'sql' in one);
  if (asked.length === 0) return;
  const issues: Issue[] = [];
  const readings = await readPinnedSql(
    parts,
    reportPrincipal(tenant),
    asked.map(({ sql }) => sql),
    { params: sqlParameters({ parameters, fromMs: 0, toMs: 1 }), limits: guestLimits(parts) },
  );
  for (const [at, { name: question, sql }] of asked.entries()) {
    const reading = readings[at]!;
    const path = `questions.${question}.sql`;
    if (reading instanceof MillraceError) issues.push({ path, message: reading.message });
    else {
      const named = new Set(relationsNamed(sql));
      // What it reads stands in the catalog under the names that its words tell, and is kept from being removed.
      for (const one of reading.relations)
        if (!named.has(one))
          issues.push({ path, message: `write the name ${JSON.stringify(one)} right behind FROM or JOIN` });
    }
  }
  if (issues.length > 0) throw badDefinition(`the report ${JSON.stringify(name)}`, issues);
}
